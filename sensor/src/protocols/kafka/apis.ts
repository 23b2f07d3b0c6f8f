/** APIs by number: names, programs of all versions, and the constants that a record takes from them. */
import { type Constant, encode, encodeString, KafkaTag, RoundTripTag } from '@packetd/proto';
import { BROKER_APIS } from './broker-apis.js';
import { CLIENT_APIS } from './client-apis.js';
import { type ApiRow, type Program, requestProgram, responseProgram } from './schema.js';

/** messaging.operation.name and type of the APIs that move or settle messages. */
const OPERATIONS: Readonly<Record<string, readonly [string, string]>> = {
  Produce: ['send', 'send'],
  Fetch: ['poll', 'receive'],
  ShareFetch: ['poll', 'receive'],
  OffsetCommit: ['commit', 'settle'],
  TxnOffsetCommit: ['commit', 'settle'],
  ShareAcknowledge: ['acknowledge', 'settle'],
};

export class Api {
  readonly name: string;
  /** RoundTrip.operation. */
  readonly envelope: Constant;
  /** Fields of the detail that are the same for all its requests. */
  readonly detail: Constant;
  readonly known: boolean;
  /** Newest version whose layout is known; -1 where none is. */
  readonly newestVersion: number;
  private readonly requests: Program[] = [];
  private readonly responses: Program[] = [];

  constructor(
    readonly key: number,
    private readonly row: ApiRow | undefined,
  ) {
    this.name = row === undefined ? String(key) : row[1];
    this.known = row !== undefined;
    this.newestVersion = row === undefined ? -1 : row[3];
    this.envelope = encodeString(RoundTripTag.operation, this.name);
    const operation = OPERATIONS[this.name];
    this.detail = encode((writer) => {
      writer.string(KafkaTag.apiName, this.name);
      if (operation === undefined) return;
      writer.string(KafkaTag.operationName, operation[0]);
      writer.string(KafkaTag.operationType, operation[1]);
    });
  }

  request(version: number): Program {
    let program = this.requests[version];
    if (program === undefined) {
      program = requestProgram(this.row, version);
      this.requests[version] = program;
    }
    return program;
  }

  response(version: number): Program {
    let program = this.responses[version];
    if (program === undefined) {
      program = responseProgram(this.row, version);
      this.responses[version] = program;
    }
    return program;
  }
}

const apis: Api[] = [];
for (const row of [...CLIENT_APIS, ...BROKER_APIS]) apis[row[0]] = new Api(row[0], row);
for (let key = 0; key < apis.length; key++) apis[key] ??= new Api(key, undefined);

/** The API with this key, which is not negative. */
export function api(key: number): Api {
  return apis[key] ?? new Api(key, undefined);
}
