/** gRPC, and with it HTTP/2: the same decoder finds both on one connection. */
import { RoundTripTag } from '@packetd/proto';
import { http2With } from '../http2/index.js';
import { grpcCalls } from './call.js';

export const http2 = http2With(grpcCalls, 'http2', RoundTripTag.http2, []);
export const grpc = http2With(grpcCalls, 'grpc', RoundTripTag.grpc, [50_051]);
