/** The demo's gRPC service; its messages are plain bytes. */
const bytes = { serialize: (message) => message, deserialize: (message) => message };

const method = (path, responseStream) => ({
  path,
  requestStream: false,
  responseStream,
  requestSerialize: bytes.serialize,
  requestDeserialize: bytes.deserialize,
  responseSerialize: bytes.serialize,
  responseDeserialize: bytes.deserialize,
});

export const SHOP = {
  checkout: method('/packetd.demo.Shop/Checkout', false),
  watchOrder: method('/packetd.demo.Shop/WatchOrder', true),
};
