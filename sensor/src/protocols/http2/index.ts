/** HTTP/2 in clear text, with whatever application its streams may carry. */
import type { StreamProtocol } from '../decoder.js';
import { Http2Decoder } from './decoder.js';
import { probe } from './probe.js';
import type { Application } from './stream.js';

/** The protocol `name`: one decoder for plain streams and for those of `application`. */
export function http2With(
  application: Application | null,
  name: string,
  detailTag: number,
  ports: readonly number[],
): StreamProtocol {
  return {
    name,
    ports,
    detailTag,
    probe,
    create: (connection, options) => new Http2Decoder(connection, options, application),
  };
}
