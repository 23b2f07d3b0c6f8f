/**
 * The requests and responses of Kafka, by API key and version (https://kafka.apache.org/protocol, up to
 * Kafka 4.1). A layout has a letter per field:
 *
 *   b h i l u   1, 2, 4, 8 and 16 bytes
 *   s y R       string, bytes, records; with a length before them, -1 (0 in compact form) for null
 *   ( ) < > { } array, struct that may be null, struct
 *   t           tagged fields (KIP-482); its presence makes strings, bytes and arrays of a version compact
 *   T U P       topic by name, topic by id, partition
 *   G X A       consumer group, transactional id, acks
 *   E Q         error code, throttle time
 */

export interface Api {
  readonly name: string;
  /** First version with compact fields and a tagged request header; -1 where there is none. */
  readonly flexible: number;
  /** First version whose response header has tagged fields; -1 where there is none. */
  readonly taggedResponse: number;
  readonly maxVersion: number;
  /** Layouts, each from its version on. */
  readonly request: readonly (readonly [version: number, layout: string])[];
  readonly response: readonly (readonly [version: number, layout: string])[];
}

type Row = readonly [
  key: number,
  name: string,
  flexible: number,
  taggedResponse: number,
  maxVersion: number,
  request: string,
  response: string,
];

/** Layouts are `version layout` pairs with a blank between them. */
const ROWS: readonly Row[] = [
  [
    0,
    'Produce',
    9,
    9,
    13,
    '0 Ai(T(PR)) 3 XAi(T(PR)) 9 XAi(T(PRt)t)t 13 XAi(U(PRt)t)t',
    '0 (T(PEl)) 1 (T(PEl))Q 2 (T(PEll))Q 5 (T(PElll))Q 8 (T(PElll(is)s))Q 9 (T(PElll(ist)st)t)Qt 13 (U(PElll(ist)st)t)Qt',
  ],
  [
    1,
    'Fetch',
    12,
    12,
    18,
    '0 iii(T(Pli)) 3 iiii(T(Pli)) 4 iiiib(T(Pli)) 5 iiiib(T(Plli)) 7 iiiibii(T(Plli))(T(i)) 9 iiiibii(T(Pilli))(T(i)) 11 iiiibii(T(Pilli))(T(i))s 12 iiiibii(T(Pililit)t)(T(i)t)st 13 iiiibii(U(Pililit)t)(U(i)t)st 15 iiibii(U(Pililit)t)(U(i)t)st',
    '0 (T(PElR)) 1 Q(T(PElR)) 4 Q(T(PEll(ll)R)) 5 Q(T(PElll(ll)R)) 7 QEi(T(PElll(ll)R)) 11 QEi(T(PElll(ll)iR)) 12 QEi(T(PElll(llt)iRt)t)t 13 QEi(U(PElll(llt)iRt)t)t',
  ],
  [
    2,
    'ListOffsets',
    6,
    6,
    11,
    '0 i(T(Pli)) 1 i(T(Pl)) 2 ib(T(Pl)) 4 ib(T(Pil)) 6 ib(T(Pilt)t)t 10 ib(T(Pilt)t)it',
    '0 (T(PE(l))) 1 (T(PEll)) 2 Q(T(PEll)) 4 Q(T(PElli)) 6 Q(T(PEllit)t)t',
  ],
  [
    3,
    'Metadata',
    9,
    9,
    13,
    '0 (T) 4 (T)b 8 (T)bbb 9 (Tt)bbbt 10 (UTt)bbbt 11 (UTt)bbt',
    '0 (isi)(ET(EPi(i)(i))) 1 (isis)i(ETb(EPi(i)(i))) 2 (isis)si(ETb(EPi(i)(i))) 3 Q(isis)si(ETb(EPi(i)(i))) 5 Q(isis)si(ETb(EPi(i)(i)(i))) 7 Q(isis)si(ETb(EPii(i)(i)(i))) 8 Q(isis)si(ETb(EPii(i)(i)(i))i)i 9 Q(isist)si(ETb(EPii(i)(i)(i)t)it)it 10 Q(isist)si(ETUb(EPii(i)(i)(i)t)it)it 11 Q(isist)si(ETUb(EPii(i)(i)(i)t)it)t 13 Q(isist)si(ETUb(EPii(i)(i)(i)t)it)Et',
  ],
  [4, 'LeaderAndIsr', 4, 4, 3, '', '0 E(TPE)'],
  [5, 'StopReplica', 2, 2, 1, '', '0 E(TPE)'],
  [6, 'UpdateMetadata', 6, 6, 5, '', '0 E'],
  [7, 'ControlledShutdown', 3, 3, 2, '', '0 E(TP)'],
  [
    8,
    'OffsetCommit',
    8,
    8,
    10,
    '0 G(T(Pls)) 1 Gis(T(Plls)) 2 Gisl(T(Pls)) 5 Gis(T(Pls)) 6 Gis(T(Plis)) 7 Giss(T(Plis)) 8 Giss(T(Plist)t)t 10 Giss(U(Plist)t)t',
    '0 (T(PE)) 3 Q(T(PE)) 8 Q(T(PEt)t)t 10 Q(U(PEt)t)t',
  ],
  [
    9,
    'OffsetFetch',
    6,
    6,
    10,
    '0 G(T(i)) 6 G(T(i)t)t 7 G(T(i)t)bt 8 (G(T(i)t)t)bt 9 (Gsi(T(i)t)t)bt 10 (Gsi(U(i)t)t)bt',
    '0 (T(PlsE)) 2 (T(PlsE))E 3 Q(T(PlsE))E 5 Q(T(PlisE))E 6 Q(T(PlisEt)t)Et 8 Q(G(T(PlisEt)t)Et)t 10 Q(G(U(PlisEt)t)Et)t',
  ],
  [10, 'FindCoordinator', 3, 3, 6, '0 s 1 sb 3 sbt 4 b(s)t', '0 Eisi 1 QEsisi 3 QEsisit 4 Q(sisiEst)t'],
  [
    11,
    'JoinGroup',
    6,
    6,
    9,
    '0 Giss(sy) 1 Giiss(sy) 5 Giisss(sy) 6 Giisss(syt)t 8 Giisss(syt)st',
    '0 Eisss(sy) 2 QEisss(sy) 5 QEisss(ssy) 6 QEisss(ssyt)t 7 QEissss(ssyt)t 9 QEisssbs(ssyt)t',
  ],
  [12, 'Heartbeat', 4, 4, 4, '0 Gis 3 Giss 4 Gisst', '0 E 1 QE 4 QEt'],
  [13, 'LeaveGroup', 4, 4, 5, '0 Gs 3 G(ss) 4 G(sst)t 5 G(ssst)t', '0 E 1 QE 3 QE(ssE) 4 QE(ssEt)t'],
  [
    14,
    'SyncGroup',
    4,
    4,
    5,
    '0 Gis(sy) 3 Giss(sy) 4 Giss(syt)t 5 Gissss(syt)t',
    '0 Ey 1 QEy 4 QEyt 5 QEssyt',
  ],
  [
    15,
    'DescribeGroups',
    5,
    5,
    6,
    '0 (s) 3 (s)b 5 (s)bt',
    '0 (EGsss(sssyy)) 1 Q(EGsss(sssyy)) 3 Q(EGsss(sssyy)i) 4 Q(EGsss(ssssyy)i) 5 Q(EGsss(ssssyyt)it)t 6 Q(EsGsss(ssssyyt)it)t',
  ],
  [
    16,
    'ListGroups',
    3,
    3,
    5,
    '0 - 3 t 4 (s)t 5 (s)(s)t',
    '0 E(Gs) 1 QE(Gs) 3 QE(Gst)t 4 QE(Gsst)t 5 QE(Gssst)t',
  ],
  [17, 'SaslHandshake', -1, -1, 1, '0 s', '0 E(s)'],
  [18, 'ApiVersions', 3, -1, 4, '0 - 3 sst', '0 E(hhh) 1 E(hhh)Q 3 E(hhht)Qt'],
  [
    19,
    'CreateTopics',
    5,
    5,
    7,
    '0 (Tih(i(i))(ss))i 1 (Tih(i(i))(ss))ib 2 (Tih(P(i))(Ts))ib 5 (Tih(P(i)t)(Tst)t)ibt',
    '0 (TE) 1 (TEs) 2 Q(TEs) 5 Q(TEsih(Tsbbbt)t)t 7 Q(TUEsih(Tsbbbt)t)t',
  ],
  [
    20,
    'DeleteTopics',
    4,
    4,
    6,
    '0 (T)i 4 (T)it 6 (TUt)it',
    '0 (TE) 1 Q(TE) 4 Q(TEt)t 5 Q(TEst)t 6 Q(TUEst)t',
  ],
  [21, 'DeleteRecords', 2, 2, 2, '0 (T(Pl))i 2 (T(Plt)t)it', '0 Q(T(PlE)) 2 Q(T(PlEt)t)t'],
  [22, 'InitProducerId', 2, 2, 6, '0 Xi 2 Xit 3 Xilht 6 Xilhbbt', '0 QElh 2 QElht 6 QElhlht'],
  [
    23,
    'OffsetForLeaderEpoch',
    4,
    4,
    4,
    '2 (T(Pii)) 3 i(T(Pii)) 4 i(T(Piit)t)t',
    '2 Q(T(EPil)) 4 Q(T(EPilt)t)t',
  ],
  [
    24,
    'AddPartitionsToTxn',
    3,
    3,
    5,
    '0 slh(T(i)) 3 slh(T(i)t)t 4 (Xlhb(T(i)t)t)t',
    '0 Q(T(PE)) 3 Q(T(PEt)t)t 4 QE(X(T(PEt)t)t)t',
  ],
  [25, 'AddOffsetsToTxn', 3, 3, 4, '0 XlhG 3 XlhGt', '0 QE 3 QEt'],
  [26, 'EndTxn', 3, 3, 5, '0 Xlhb 3 Xlhbt', '0 QE 3 QEt 5 QElht'],
  [27, 'WriteTxnMarkers', 1, 1, 2, '1 (lhb(T(i)t)it)t 2 (lhb(T(i)t)ibt)t', '1 (l(T(PEt)t)t)t'],
  [
    28,
    'TxnOffsetCommit',
    3,
    3,
    5,
    '0 XGlh(T(Pls)) 2 XGlh(T(Plis)) 3 XGlhiss(T(Plist)t)t',
    '0 Q(T(PE)) 3 Q(T(PEt)t)t',
  ],
  [29, 'DescribeAcls', 2, 2, 3, '1 bsbssbb 2 bsbssbbt', '1 QEs(bsb(ssbb)) 2 QEs(bsb(ssbbt)t)t'],
  [30, 'CreateAcls', 2, 2, 3, '1 (bsbssbb) 2 (bsbssbbt)t', '1 Q(Es) 2 Q(Est)t'],
  [31, 'DeleteAcls', 2, 2, 3, '1 (bsbssbb) 2 (bsbssbbt)t', '1 Q(Es(Esbsbssbb)) 2 Q(Es(Esbsbssbbt)t)t'],
  [
    32,
    'DescribeConfigs',
    4,
    4,
    4,
    '1 (bs(s))b 3 (bs(s))bb 4 (bs(s)t)bbt',
    '1 Q(Esbs(ssbbb(ssb))) 3 Q(Esbs(ssbbb(ssb)bs)) 4 Q(Esbs(ssbbb(ssbt)bst)t)t',
  ],
  [33, 'AlterConfigs', 2, 2, 2, '0 (bs(ss))b 2 (bs(sst)t)bt', '0 Q(Esbs) 2 Q(Esbst)t'],
  [34, 'AlterReplicaLogDirs', 2, 2, 2, '1 (s(T(i))) 2 (s(T(i)t)t)t', '1 Q(T(PE)) 2 Q(T(PEt)t)t'],
  [
    35,
    'DescribeLogDirs',
    2,
    2,
    5,
    '1 (T(i)) 2 (T(i)t)t',
    '1 Q(Es(T(Pllb))) 2 Q(Es(T(Pllbt)t)t)t 3 QE(Es(T(Pllbt)t)t)t 4 QE(Es(T(Pllbt)t)llt)t 5 QE(Es(T(Pllbt)t)llbt)t',
  ],
  [36, 'SaslAuthenticate', 2, 2, 2, '0 y 2 yt', '0 Esy 1 Esyl 2 Esylt'],
  [37, 'CreatePartitions', 2, 2, 3, '0 (Ti((i)))ib 2 (Ti((i)t)t)ibt', '0 Q(TEs) 2 Q(TEst)t'],
  [
    38,
    'CreateDelegationToken',
    2,
    2,
    3,
    '1 (ss)l 2 (sst)lt 3 ss(sst)lt',
    '1 EsslllsyQ 2 EsslllsyQt 3 EsssslllsyQt',
  ],
  [39, 'RenewDelegationToken', 2, 2, 2, '1 yl 2 ylt', '1 ElQ 2 ElQt'],
  [40, 'ExpireDelegationToken', 2, 2, 2, '1 yl 2 ylt', '1 ElQ 2 ElQt'],
  [
    41,
    'DescribeDelegationToken',
    2,
    2,
    3,
    '1 (ss) 2 (sst)t',
    '1 E(sslllsy(ss))Q 2 E(sslllsy(sst)t)Qt 3 E(sssslllsy(sst)t)Qt',
  ],
  [42, 'DeleteGroups', 2, 2, 2, '0 (s) 2 (s)t', '0 Q(GE) 2 Q(GEt)t'],
  [
    43,
    'ElectLeaders',
    2,
    2,
    2,
    '0 (T(i))i 1 b(T(i))i 2 b(T(i)t)it',
    '0 Q(T(PEs)) 1 QE(T(PEs)) 2 QE(T(PEst)t)t',
  ],
  [44, 'IncrementalAlterConfigs', 1, 1, 1, '0 (bs(sbs))b 1 (bs(sbst)t)bt', '0 Q(Esbs) 1 Q(Esbst)t'],
  [
    45,
    'AlterPartitionReassignments',
    0,
    0,
    1,
    '0 i(T(P(i)t)t)t 1 ib(T(P(i)t)t)t',
    '0 QEs(T(PEst)t)t 1 QbEs(T(PEst)t)t',
  ],
  [46, 'ListPartitionReassignments', 0, 0, 0, '0 i(T(i)t)t', '0 QEs(T(P(i)(i)(i)t)t)t'],
  [47, 'OffsetDelete', -1, -1, 0, '0 G(T(P))', '0 EQ(T(PE))'],
  [48, 'DescribeClientQuotas', 1, 1, 1, '0 (sbs)b 1 (sbst)bt', '0 QEs((ss)(sl)) 1 QEs((sst)(slt)t)t'],
  [49, 'AlterClientQuotas', 1, 1, 1, '0 ((ss)(slb))b 1 ((sst)(slbt)t)bt', '0 Q(Es(ss)) 1 Q(Es(sst)t)t'],
  [50, 'DescribeUserScramCredentials', 0, 0, 0, '0 (st)t', '0 QEs(sEs(bit)t)t'],
  [51, 'AlterUserScramCredentials', 0, 0, 0, '0 (sbt)(sbiyyt)t', '0 Q(sEst)t'],
  [52, 'Vote', 0, 0, 2, '0 s(T(Piiilt)t)t 1 si(T(Piiuuilt)t)t 2 si(T(Piiuuilbt)t)t', '0 E(T(PEiibt)t)t'],
  [53, 'BeginQuorumEpoch', 1, 1, 1, '0 s(T(Pii)) 1 si(T(Puiit)t)(ssht)t', '0 E(T(PEii)) 1 E(T(PEiit)t)t'],
  [54, 'EndQuorumEpoch', 1, 1, 1, '0 s(T(Pii(i))) 1 s(T(Pii(iut)t)t)(ssht)t', '0 E(T(PEii)) 1 E(T(PEiit)t)t'],
  [
    55,
    'DescribeQuorum',
    0,
    0,
    2,
    '0 (T(Pt)t)t',
    '0 E(T(PEiil(ilt)(ilt)t)t)t 1 E(T(PEiil(illlt)(illlt)t)t)t 2 Es(T(PEsiil(iulllt)(iulllt)t)t)(i(ssht)t)t',
  ],
  [56, 'AlterPartition', 2, 2, 3, '2 il(U(Pi(i)bit)t)t 3 il(U(Pi(ilt)bit)t)t', '2 QE(U(PEii(i)bit)t)t'],
  [57, 'UpdateFeatures', 0, 0, 2, '0 i(shbt)t 1 i(shbt)bt', '0 QEs(sEst)t 2 QEst'],
  [58, 'Envelope', 0, 0, 0, '0 yyyt', '0 yEt'],
  [59, 'FetchSnapshot', 0, 0, 1, '0 ii(T(Pi{lit}lt)t)t', '0 QE(T(PE{lit}llRt)t)t'],
  [
    60,
    'DescribeCluster',
    0,
    0,
    2,
    '0 bt 1 bbt 2 bbbt',
    '0 QEssi(isist)it 1 QEsbsi(isist)it 2 QEsbsi(isisbt)it',
  ],
  [61, 'DescribeProducers', 0, 0, 0, '0 (T(i)t)t', '0 Q(T(PEs(liililt)t)t)t'],
  [
    62,
    'BrokerRegistration',
    0,
    0,
    4,
    '0 isu(sshht)(shht)st 1 isu(sshht)(shht)sbt 2 isu(sshht)(shht)sb(u)t 3 isu(sshht)(shht)sb(u)lt',
    '0 QElt',
  ],
  [63, 'BrokerHeartbeat', 0, 0, 2, '0 illbbt', '0 QEbbbt'],
  [64, 'UnregisterBroker', 0, 0, 0, '0 it', '0 QEst'],
  [65, 'DescribeTransactions', 0, 0, 0, '0 (s)t', '0 Q(EXsillh(T(i)t)t)t'],
  [66, 'ListTransactions', 0, 0, 2, '0 (s)(l)t 1 (s)(l)lt 2 (s)(l)lst', '0 QE(s)(Xlst)t'],
  [67, 'AllocateProducerIds', 0, 0, 0, '0 ilt', '0 QElit'],
  [
    68,
    'ConsumerGroupHeartbeat',
    0,
    0,
    1,
    '0 Gsissi(T)s(U(i)t)t 1 Gsissi(T)ss(U(i)t)t',
    '0 QEssii<(U(i)t)t>t',
  ],
  [
    69,
    'ConsumerGroupDescribe',
    0,
    0,
    1,
    '0 (s)bt',
    '0 Q(EsGsiis(sssiss(T)s{(UT(i)t)t}{(UT(i)t)t}t)it)t 1 Q(EsGsiis(sssiss(T)s{(UT(i)t)t}{(UT(i)t)t}bt)it)t',
  ],
  [70, 'ControllerRegistration', 0, 0, 0, '0 iub(sshht)(shht)t', '0 QEst'],
  [71, 'GetTelemetrySubscriptions', 0, 0, 0, '0 ut', '0 QEui(b)iib(s)t'],
  [72, 'PushTelemetry', 0, 0, 0, '0 uibbyt', '0 QEt'],
  [73, 'AssignReplicasToDirs', 0, 0, 0, '0 il(u(U(Pt)t)t)t', '0 QE(u(U(PEt)t)t)t'],
  [74, 'ListConfigResources', 0, 0, 1, '0 t 1 (b)t', '0 QE(st)t 1 QE(sbt)t'],
  [75, 'DescribeTopicPartitions', 0, 0, 0, '0 (Tt)i<TPt>t', '0 Q(ETUb(EPii(i)(i)(i)(i)(i)t)it)<TPt>t'],
  [76, 'ShareGroupHeartbeat', 1, 1, 1, '1 Gsis(T)t', '1 QEssii<(U(i)t)t>t'],
  [77, 'ShareGroupDescribe', 1, 1, 1, '1 (s)bt', '1 Q(EsGsiis(ssiss(T){(UT(i)t)t}t)it)t'],
  [
    78,
    'ShareFetch',
    1,
    1,
    2,
    '1 Gsiiiiii(U(P(ll(b)t)t)t)(U(i)t)t 2 Gsiiiiiibb(U(P(ll(b)t)t)t)(U(i)t)t',
    '1 QEsi(U(PEshs{iit}R(llht)t)t)(isist)t',
  ],
  [
    79,
    'ShareAcknowledge',
    1,
    1,
    2,
    '1 Gsi(U(P(ll(b)t)t)t)t 2 Gsib(U(P(ll(b)t)t)t)t',
    '1 QEs(U(PEs{iit}t)t)(isist)t 2 QEsi(U(PEs{iit}t)t)(isist)t',
  ],
  [80, 'AddRaftVoter', 0, 0, 1, '0 siiu(ssht)t 1 siiu(ssht)bt', '0 QEst'],
  [81, 'RemoveRaftVoter', 0, 0, 0, '0 siut', '0 QEst'],
  [82, 'UpdateRaftVoter', 0, 0, 0, '0 siiu(ssht){hht}t', '0 QEt'],
  [83, 'InitializeShareGroupState', 0, 0, 0, '0 G(U(Pilt)t)t', '0 (U(PEst)t)t'],
  [84, 'ReadShareGroupState', 0, 0, 0, '0 G(U(Pit)t)t', '0 (U(PEsil(llbht)t)t)t'],
  [85, 'WriteShareGroupState', 0, 0, 1, '0 G(U(Piil(llbht)t)t)t 1 G(U(Piili(llbht)t)t)t', '0 (U(PEst)t)t'],
  [86, 'DeleteShareGroupState', 0, 0, 0, '0 G(U(Pt)t)t', '0 (U(PEst)t)t'],
  [87, 'ReadShareGroupStateSummary', 0, 0, 1, '0 G(U(Pit)t)t', '0 (U(PEsiilt)t)t 1 (U(PEsiilit)t)t'],
  [
    88,
    'StreamsGroupHeartbeat',
    0,
    0,
    0,
    '0 Gsiissi<i(s(s)(s)(Tih(sst)t)(s)(Tih(sst)t)((h)(h)(h)t)t)t>(s(i)t)(s(i)t)(s(i)t)s<sht>(sst)(sPlt)(sPlt)bt',
    '0 QEssiiii(bst)(s(i)t)(s(i)t)(s(i)t)i({sht}(T(i)t)(T(i)t)t)t',
  ],
  [
    89,
    'StreamsGroupDescribe',
    0,
    0,
    0,
    '0 (s)bt',
    '0 Q(EsGsii<i(s(s)(s)(Tih(sst)t)(Tih(sst)t)t)t>(sissssis<sht>(sst)(sPlt)(sPlt){(s(i)t)(s(i)t)(s(i)t)t}{(s(i)t)(s(i)t)(s(i)t)t}bt)it)t',
  ],
  [
    90,
    'DescribeShareGroupOffsets',
    0,
    0,
    1,
    '0 (G(T(i)t)t)t',
    '0 Q(G(TU(PliEst)t)Est)t 1 Q(G(TU(PlilEst)t)Est)t',
  ],
  [91, 'AlterShareGroupOffsets', 0, 0, 0, '0 G(T(Plt)t)t', '0 QEs(TU(PEst)t)t'],
  [92, 'DeleteShareGroupOffsets', 0, 0, 0, '0 G(Tt)t', '0 QEs(TUEst)t'],
];

/** The API with this key; undefined for a key that there is not. */
export const APIS: readonly (Api | undefined)[] = (() => {
  const apis: Api[] = [];
  for (const [key, name, flexible, taggedResponse, maxVersion, request, response] of ROWS) {
    apis[key] = {
      name,
      flexible,
      taggedResponse,
      maxVersion,
      request: layouts(request),
      response: layouts(response),
    };
  }
  return apis;
})();

function layouts(text: string): [version: number, layout: string][] {
  const parts = text === '' ? [] : text.split(' ');
  const pairs: [number, string][] = [];
  for (let i = 0; i < parts.length; i += 2)
    pairs.push([Number(parts[i]), parts[i + 1] === '-' ? '' : parts[i + 1]]);
  return pairs;
}

/** The layout of a version; undefined where it is not known. */
export function layoutOf(
  layouts: readonly (readonly [version: number, layout: string])[],
  version: number,
): string | undefined {
  let found: string | undefined;
  for (const [from, layout] of layouts) if (version >= from) found = layout;
  return found;
}

/** Names of the error codes. */
const ERRORS: readonly string[] = (
  'NONE OFFSET_OUT_OF_RANGE CORRUPT_MESSAGE UNKNOWN_TOPIC_OR_PARTITION INVALID_FETCH_SIZE ' +
  'LEADER_NOT_AVAILABLE NOT_LEADER_OR_FOLLOWER REQUEST_TIMED_OUT BROKER_NOT_AVAILABLE ' +
  'REPLICA_NOT_AVAILABLE MESSAGE_TOO_LARGE STALE_CONTROLLER_EPOCH OFFSET_METADATA_TOO_LARGE ' +
  'NETWORK_EXCEPTION COORDINATOR_LOAD_IN_PROGRESS COORDINATOR_NOT_AVAILABLE NOT_COORDINATOR ' +
  'INVALID_TOPIC_EXCEPTION RECORD_LIST_TOO_LARGE NOT_ENOUGH_REPLICAS ' +
  'NOT_ENOUGH_REPLICAS_AFTER_APPEND INVALID_REQUIRED_ACKS ILLEGAL_GENERATION ' +
  'INCONSISTENT_GROUP_PROTOCOL INVALID_GROUP_ID UNKNOWN_MEMBER_ID INVALID_SESSION_TIMEOUT ' +
  'REBALANCE_IN_PROGRESS INVALID_COMMIT_OFFSET_SIZE TOPIC_AUTHORIZATION_FAILED ' +
  'GROUP_AUTHORIZATION_FAILED CLUSTER_AUTHORIZATION_FAILED INVALID_TIMESTAMP ' +
  'UNSUPPORTED_SASL_MECHANISM ILLEGAL_SASL_STATE UNSUPPORTED_VERSION TOPIC_ALREADY_EXISTS ' +
  'INVALID_PARTITIONS INVALID_REPLICATION_FACTOR INVALID_REPLICA_ASSIGNMENT INVALID_CONFIG ' +
  'NOT_CONTROLLER INVALID_REQUEST UNSUPPORTED_FOR_MESSAGE_FORMAT POLICY_VIOLATION ' +
  'OUT_OF_ORDER_SEQUENCE_NUMBER DUPLICATE_SEQUENCE_NUMBER INVALID_PRODUCER_EPOCH INVALID_TXN_STATE ' +
  'INVALID_PRODUCER_ID_MAPPING INVALID_TRANSACTION_TIMEOUT CONCURRENT_TRANSACTIONS ' +
  'TRANSACTION_COORDINATOR_FENCED TRANSACTIONAL_ID_AUTHORIZATION_FAILED SECURITY_DISABLED ' +
  'OPERATION_NOT_ATTEMPTED KAFKA_STORAGE_ERROR LOG_DIR_NOT_FOUND SASL_AUTHENTICATION_FAILED ' +
  'UNKNOWN_PRODUCER_ID REASSIGNMENT_IN_PROGRESS DELEGATION_TOKEN_AUTH_DISABLED ' +
  'DELEGATION_TOKEN_NOT_FOUND DELEGATION_TOKEN_OWNER_MISMATCH DELEGATION_TOKEN_REQUEST_NOT_ALLOWED ' +
  'DELEGATION_TOKEN_AUTHORIZATION_FAILED DELEGATION_TOKEN_EXPIRED INVALID_PRINCIPAL_TYPE ' +
  'NON_EMPTY_GROUP GROUP_ID_NOT_FOUND FETCH_SESSION_ID_NOT_FOUND INVALID_FETCH_SESSION_EPOCH ' +
  'LISTENER_NOT_FOUND TOPIC_DELETION_DISABLED FENCED_LEADER_EPOCH UNKNOWN_LEADER_EPOCH ' +
  'UNSUPPORTED_COMPRESSION_TYPE STALE_BROKER_EPOCH OFFSET_NOT_AVAILABLE MEMBER_ID_REQUIRED ' +
  'PREFERRED_LEADER_NOT_AVAILABLE GROUP_MAX_SIZE_REACHED FENCED_INSTANCE_ID ' +
  'ELIGIBLE_LEADERS_NOT_AVAILABLE ELECTION_NOT_NEEDED NO_REASSIGNMENT_IN_PROGRESS ' +
  'GROUP_SUBSCRIBED_TO_TOPIC INVALID_RECORD UNSTABLE_OFFSET_COMMIT THROTTLING_QUOTA_EXCEEDED ' +
  'PRODUCER_FENCED RESOURCE_NOT_FOUND DUPLICATE_RESOURCE UNACCEPTABLE_CREDENTIAL ' +
  'INCONSISTENT_VOTER_SET INVALID_UPDATE_VERSION FEATURE_UPDATE_FAILED ' +
  'PRINCIPAL_DESERIALIZATION_FAILURE SNAPSHOT_NOT_FOUND POSITION_OUT_OF_RANGE UNKNOWN_TOPIC_ID ' +
  'DUPLICATE_BROKER_REGISTRATION BROKER_ID_NOT_REGISTERED INCONSISTENT_TOPIC_ID ' +
  'INCONSISTENT_CLUSTER_ID TRANSACTIONAL_ID_NOT_FOUND FETCH_SESSION_TOPIC_ID_ERROR ' +
  'INELIGIBLE_REPLICA NEW_LEADER_ELECTED OFFSET_MOVED_TO_TIERED_STORAGE FENCED_MEMBER_EPOCH ' +
  'UNRELEASED_INSTANCE_ID UNSUPPORTED_ASSIGNOR STALE_MEMBER_EPOCH MISMATCHED_ENDPOINT_TYPE ' +
  'UNSUPPORTED_ENDPOINT_TYPE UNKNOWN_CONTROLLER_ID UNKNOWN_SUBSCRIPTION_ID TELEMETRY_TOO_LARGE ' +
  'INVALID_REGISTRATION TRANSACTION_ABORTABLE INVALID_RECORD_STATE SHARE_SESSION_NOT_FOUND ' +
  'INVALID_SHARE_SESSION_EPOCH FENCED_STATE_EPOCH INVALID_VOTER_KEY DUPLICATE_VOTER ' +
  'VOTER_NOT_FOUND INVALID_REGULAR_EXPRESSION REBOOTSTRAP_REQUIRED STREAMS_INVALID_TOPOLOGY ' +
  'STREAMS_INVALID_TOPOLOGY_EPOCH STREAMS_TOPOLOGY_FENCED SHARE_SESSION_LIMIT_REACHED'
).split(' ');

/** Name of an error code; the number itself where there is none. */
export function errorName(code: number): string {
  if (code === -1) return 'UNKNOWN_SERVER_ERROR';
  const name = ERRORS[code];
  return name === undefined || name === '-' ? String(code) : name;
}
