/** Figures of TCP reassembly. */

/**
 * Figures of all connections since the start. Each captured payload byte is in exactly one of
 * deliveredBytes, skippedBytes, retransmittedBytes, lateBytes, implausibleBytes, ignoredBytes and
 * droppedBytes, or is held.
 */
export class TcpCounters {
  segments = 0;
  /** Captured payload. */
  payloadBytes = 0;
  deliveredBytes = 0;
  /** Payload of connections that the factory did not want. */
  skippedBytes = 0;
  /** Bytes seen before, among them the byte of a keep-alive probe. */
  retransmittedBytes = 0;
  /** Bytes of what had been given up as a gap. */
  lateBytes = 0;
  /** Bytes more than 1 GiB away from where the stream is. */
  implausibleBytes = 0;
  /** Bytes after a FIN, with a RST, or of connections that are over. */
  ignoredBytes = 0;
  /** Bytes that found no room in the hold. */
  droppedBytes = 0;

  /** Bytes reported as gaps, and why: the peer acknowledged them, … */
  gapBytes = 0;
  gapsAcknowledged = 0;
  /** … the hold of the direction was full, … */
  gapsHoldFull = 0;
  /** … the hold of all connections was full, … */
  gapsTotalHoldFull = 0;
  /** … the wait limit had passed, … */
  gapsWaited = 0;
  /** … the frame was cut by the snap length, … */
  gapsCut = 0;
  /** … the connection ended, or … */
  gapsClosed = 0;
  /** … the stream went on more than 1 GiB away. */
  gapsResynchronised = 0;

  retransmittedSegments = 0;
  outOfOrderSegments = 0;
  keepAlives = 0;
  implausibleSegments = 0;
  implausibleAcks = 0;
  /** RSTs outside the window, not believed. */
  implausibleResets = 0;
  /** RSTs, and packets from an endpoint to itself, that belong to no connection. */
  straySegments = 0;

  connectionsOpened = 0;
  /** First seen without SYN or SYN-ACK. */
  connectionsJoined = 0;
  connectionsSkipped = 0;
  closedFin = 0;
  closedRst = 0;
  closedIdle = 0;
  closedEnd = 0;
  closedEvicted = 0;
  closedReused = 0;
  synRetransmits = 0;
  /** Now, bytes and bookkeeping. */
  heldBytes = 0;
}
