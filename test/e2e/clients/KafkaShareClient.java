// A share group (KIP-932) of Kafka's own client: takes the records of one topic, and says how many.
// Arguments: bootstrap server.
import java.time.Duration;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.KafkaShareConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

public class KafkaShareClient {
  public static void main(String[] arguments) throws Exception {
    Properties properties = new Properties();
    properties.put("bootstrap.servers", arguments[0]);
    properties.put("client.id", "sharer");
    properties.put("enable.metrics.push", "false");
    try (Admin admin = Admin.create(properties)) {
      admin.createTopics(List.of(new NewTopic("shared", 1, (short) 1))).all().get();
      admin.incrementalAlterConfigs(Map.of(new ConfigResource(ConfigResource.Type.GROUP, "sharers"), List.of(
          new AlterConfigOp(new ConfigEntry("share.auto.offset.reset", "earliest"), AlterConfigOp.OpType.SET))))
          .all().get();
    }
    try (KafkaProducer<String, String> producer =
        new KafkaProducer<>(properties, new StringSerializer(), new StringSerializer())) {
      for (int i = 0; i < 25; i++) producer.send(new ProducerRecord<>("shared", "canary-value-" + i));
    }
    properties.put("group.id", "sharers");
    int seen = 0;
    try (KafkaShareConsumer<String, String> consumer =
        new KafkaShareConsumer<>(properties, new StringDeserializer(), new StringDeserializer())) {
      consumer.subscribe(Collections.singleton("shared"));
      while (seen < 25) seen += consumer.poll(Duration.ofMillis(200)).count();
      consumer.commitSync();
    }
    System.out.printf("{\"fact\":\"shared\",\"value\":%d}%n", seen);
  }
}
