// Kafka's own client does what its library offers, and says what it did: a line of JSON per fact.
// Arguments: bootstrap server, then "new" where the broker has groups of KIP-848.
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.consumer.CommitFailedException;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.Metric;
import org.apache.kafka.common.MetricName;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.protocol.Errors;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

public class KafkaClient {
  static String server;

  public static void main(String[] arguments) throws Exception {
    server = arguments[0];
    boolean newGroups = List.of(arguments).contains("new");
    admin();
    produce("acks-0", "0", false, null, "none", 40);
    produce("acks-1", "1", false, null, "gzip", 40);
    produce("acks-all", "all", false, null, "snappy", 40);
    produce("idempotent", "all", true, null, "lz4", 40);
    transactions();
    consume("classic", "classic", "ledger-readers", 160);
    if (newGroups) consume("kip848", "consumer", "ledger-watchers", 160);
    groupErrors();
    cleanUp();
  }

  static Properties properties(String clientId) {
    Properties properties = new Properties();
    properties.put("bootstrap.servers", server);
    properties.put("client.id", clientId);
    properties.put("enable.metrics.push", "false");
    properties.put("key.serializer", StringSerializer.class.getName());
    properties.put("value.serializer", StringSerializer.class.getName());
    properties.put("key.deserializer", StringDeserializer.class.getName());
    properties.put("value.deserializer", StringDeserializer.class.getName());
    return properties;
  }

  /** {"client": …, "requests": …, "sent": bytes, "received": bytes} from the metrics, of which a copy outlives the client. */
  static void sayTotals(String clientId, Map<MetricName, Metric> metrics) {
    Map<String, Long> totals = new HashMap<>();
    for (Map.Entry<MetricName, Metric> entry : metrics.entrySet()) {
      String group = entry.getKey().group();
      if (group.endsWith("-node-metrics") || !(entry.getValue().metricValue() instanceof Double value)) continue;
      totals.put(entry.getKey().name(), value.longValue());
    }
    System.out.printf(
        "{\"client\":\"%s\",\"requests\":%d,\"sent\":%d,\"received\":%d}%n",
        clientId, totals.get("request-total"), totals.get("outgoing-byte-total"), totals.get("incoming-byte-total"));
  }

  static void say(String fact, Object value) {
    System.out.printf("{\"fact\":\"%s\",\"value\":%s}%n", fact, value instanceof Number ? value : "\"" + value + "\"");
  }

  /** The protocol's name of the error that the broker answered with. */
  static String error(KafkaFuture<?> future) throws InterruptedException {
    try {
      future.get();
      return "NONE";
    } catch (ExecutionException failed) {
      return Errors.forException(failed.getCause()).name();
    }
  }

  static void admin() throws Exception {
    try (Admin admin = Admin.create(properties("admin"))) {
      Map<MetricName, Metric> metrics = new HashMap<>();
      admin.createTopics(List.of(new NewTopic("ledger", 2, (short) 1), new NewTopic("atomic", 1, (short) 1)))
          .all().get();
      say("create ledger again", error(admin.createTopics(List.of(new NewTopic("ledger", 2, (short) 1))).all()));
      say("create with 7 replicas", error(admin.createTopics(List.of(new NewTopic("wide", 1, (short) 7))).all()));
      say("create with a bad name", error(admin.createTopics(List.of(new NewTopic("no/topic", 1, (short) 1))).all()));
      say("create with a bad config", error(admin.createTopics(
          List.of(new NewTopic("odd", 1, (short) 1).configs(Map.of("retention.ms", "canary-soon")))).all()));
      say("partitions of ledger", admin.describeTopics(List.of("ledger")).allTopicNames().get().get("ledger")
          .partitions().size());
      ConfigResource ledger = new ConfigResource(ConfigResource.Type.TOPIC, "ledger");
      admin.describeConfigs(List.of(ledger)).all().get();
      admin.incrementalAlterConfigs(Map.of(ledger, List.of(
          new AlterConfigOp(new ConfigEntry("retention.ms", "86400000"), AlterConfigOp.OpType.SET)))).all().get();
      say("alter with a bad value", error(admin.incrementalAlterConfigs(Map.of(ledger, List.of(
          new AlterConfigOp(new ConfigEntry("retention.ms", "canary-never"), AlterConfigOp.OpType.SET)))).all()));
      admin.createPartitions(Map.of("ledger", NewPartitions.increaseTo(4))).all().get();
      say("fewer partitions", error(admin.createPartitions(Map.of("ledger", NewPartitions.increaseTo(1))).all()));
      admin.listTopics().names().get();
      admin.describeCluster().nodes().get();
      say("delete a topic that is not there", error(admin.deleteTopics(List.of("ghost")).all()));
      say("delete a group that is not there", error(admin.deleteConsumerGroups(List.of("ghosts")).all()));
      metrics.putAll(admin.metrics());
      sayTotals("admin", metrics);
    }
  }

  static void produce(String clientId, String acks, boolean idempotent, String transactionalId, String codec, int count)
      throws Exception {
    Properties properties = properties(clientId);
    properties.put("acks", acks);
    properties.put("enable.idempotence", String.valueOf(idempotent));
    properties.put("compression.type", codec);
    properties.put("linger.ms", "20");
    KafkaProducer<String, String> producer = new KafkaProducer<>(properties);
    Map<MetricName, Metric> metrics = new HashMap<>(producer.metrics());
    for (int i = 0; i < count; i++) {
      producer.send(new ProducerRecord<>("ledger", i % 4, "k" + i, "canary-value-" + i));
    }
    producer.flush();
    producer.close();
    sayTotals(clientId, metrics);
  }

  static void transactions() throws Exception {
    Properties properties = properties("atomic");
    properties.put("transactional.id", "atomic-1");
    KafkaProducer<String, String> producer = new KafkaProducer<>(properties);
    Map<MetricName, Metric> metrics = new HashMap<>(producer.metrics());
    producer.initTransactions();
    for (boolean commit : new boolean[] {true, false}) {
      producer.beginTransaction();
      for (int i = 0; i < 7; i++) producer.send(new ProducerRecord<>("atomic", "canary"));
      producer.flush();
      if (commit) {
        TopicPartition partition = new TopicPartition("ledger", 0);
        producer.sendOffsetsToTransaction(
            Map.of(partition, new OffsetAndMetadata(3)),
            new org.apache.kafka.clients.consumer.ConsumerGroupMetadata("atomic-readers"));
        producer.commitTransaction();
      } else {
        producer.abortTransaction();
      }
    }
    // A second producer of the same id takes over: the first one's epoch is old.
    try (KafkaProducer<String, String> successor = new KafkaProducer<>(heir())) {
      successor.initTransactions();
      producer.beginTransaction();
      try {
        producer.send(new ProducerRecord<>("atomic", "late")).get();
        say("produce with an old epoch", "NONE");
      } catch (ExecutionException failed) {
        say("produce with an old epoch", Errors.forException(failed.getCause()).name());
      }
    }
    producer.close();
    sayTotals("atomic", metrics);
    try (Admin admin = Admin.create(properties("auditor"))) {
      TopicPartition partition = new TopicPartition("atomic", 0);
      say("end of atomic", admin.listOffsets(Map.of(partition, OffsetSpec.latest())).partitionResult(partition).get()
          .offset());
      say("states", admin.describeTransactions(List.of("atomic-1")).description("atomic-1").get().state());
    }
    Properties committed = properties("auditor");
    committed.put("isolation.level", "read_committed");
    committed.put("auto.offset.reset", "earliest");
    try (KafkaConsumer<String, String> consumer = new KafkaConsumer<>(committed)) {
      TopicPartition partition = new TopicPartition("atomic", 0);
      consumer.assign(List.of(partition));
      int seen = 0;
      while (consumer.position(partition) < 16) seen += consumer.poll(Duration.ofMillis(100)).count();
      say("committed of atomic", seen);
    }
  }

  static Properties heir() {
    Properties properties = properties("heir");
    properties.put("transactional.id", "atomic-1");
    return properties;
  }

  static void consume(String clientId, String protocol, String group, int count) {
    Properties properties = properties(clientId);
    properties.put("group.id", group);
    if (!protocol.equals("classic")) properties.put("group.protocol", protocol);
    properties.put("auto.offset.reset", "earliest");
    properties.put("enable.auto.commit", "false");
    KafkaConsumer<String, String> consumer = new KafkaConsumer<>(properties);
    Map<MetricName, Metric> metrics = new HashMap<>(consumer.metrics());
    consumer.subscribe(List.of("ledger"));
    int seen = 0;
    while (seen < count) seen += consumer.poll(Duration.ofMillis(200)).count();
    consumer.commitSync();
    consumer.close();
    sayTotals(clientId, metrics);
    say("consumed by " + group, seen);
  }

  /** Commits of a consumer that is no member of a group that has members. */
  static void groupErrors() throws Exception {
    Properties properties = properties("member");
    properties.put("group.id", "crowd");
    properties.put("auto.offset.reset", "earliest");
    Properties intruder = properties("intruder");
    intruder.put("group.id", "crowd");
    try (KafkaConsumer<String, String> member = new KafkaConsumer<>(properties);
        KafkaConsumer<String, String> stranger = new KafkaConsumer<>(intruder);
        Admin admin = Admin.create(properties("janitor"))) {
      member.subscribe(List.of("ledger"));
      while (member.assignment().isEmpty()) member.poll(Duration.ofMillis(100));
      TopicPartition partition = new TopicPartition("ledger", 0);
      stranger.assign(List.of(partition));
      try {
        stranger.commitSync(Map.of(partition, new OffsetAndMetadata(1)));
        say("commit of a stranger", "NONE");
      } catch (CommitFailedException failed) {
        say("commit of a stranger", "REFUSED");
      }
      say("delete a group with members", error(admin.deleteConsumerGroups(List.of("crowd")).all()));
      say("members of crowd", admin.describeConsumerGroups(List.of("crowd")).all().get().get("crowd").members().size());
    }
  }

  static void cleanUp() throws Exception {
    try (Admin admin = Admin.create(properties("sweeper"))) {
      admin.listConsumerGroupOffsets("ledger-readers").partitionsToOffsetAndMetadata().get();
      admin.deleteConsumerGroups(List.of("ledger-readers")).all().get();
      admin.deleteTopics(List.of("ledger", "atomic")).all().get();
    }
  }
}
