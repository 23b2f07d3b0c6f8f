"""pika does what amqplib's tests leave out, and says what it was told: a line of JSON per fact. Argument: port."""
import json
import sys

import pika
from pika.exceptions import ChannelClosedByBroker, NackError, UnroutableError


def say(fact, value):
    print(json.dumps({"fact": fact, "value": value}))


connection = pika.BlockingConnection(
    pika.ConnectionParameters("127.0.0.1", int(sys.argv[1]), credentials=pika.PlainCredentials("guest", "guest"))
)
channel = connection.channel()

# A queue that the server names, bound to a topic exchange.
channel.exchange_declare("shop", "topic")
queue = channel.queue_declare("", exclusive=True).method.queue
say("queue", queue)
channel.queue_bind(queue, "shop", "order.*")
channel.basic_qos(prefetch_count=10)
say("tag", channel.basic_consume(queue, on_message_callback=lambda *_: None, consumer_tag="till"))
channel.basic_cancel("till")
for n in range(5):
    channel.basic_publish("shop", f"order.{n}", b"canary-body " * (n + 1))

# Get, with what is left behind it; requeued once, so that it comes again.
got = []
while len(got) < 6:
    method, _, body = channel.basic_get(queue)
    if method is None:
        continue
    got.append([method.routing_key, method.redelivered, len(body), method.message_count])
    if len(got) == 1:
        channel.basic_reject(method.delivery_tag, requeue=True)
    elif len(got) == 3:
        channel.basic_nack(method.delivery_tag, multiple=True, requeue=False)
    else:
        channel.basic_ack(method.delivery_tag)
say("got", got)
say("empty", channel.basic_get(queue)[0] is None)

# A transaction that is rolled back and one that is committed.
transacted = connection.channel()
transacted.tx_select()
transacted.basic_publish("", queue, b"canary")
transacted.tx_rollback()
transacted.basic_publish("", queue, b"canary")
transacted.tx_commit()
say("after tx", channel.queue_declare(queue, passive=True).method.message_count)
say("purged", channel.queue_purge(queue).method.message_count)

# What the server refuses.
confirmed = connection.channel()
confirmed.confirm_delivery()
try:
    confirmed.basic_publish("shop", "nobody.cares", b"canary", mandatory=True)
except UnroutableError as error:
    say("returned", error.messages[0].method.reply_code)
full = confirmed.queue_declare(
    "", exclusive=True, arguments={"x-max-length": 1, "x-overflow": "reject-publish"}
).method.queue
confirmed.basic_publish("", full, b"canary")
nacks = 0
for _ in range(3):
    try:
        confirmed.basic_publish("", full, b"canary")
    except NackError:
        nacks += 1
say("nacks", nacks)
refused = []
for attempt in (
    lambda c: c.queue_declare("missing", passive=True),
    lambda c: c.exchange_declare("shop", "fanout"),
    lambda c: c.basic_ack(77) or c.queue_declare(queue, passive=True),
    lambda c: c.basic_publish("nowhere", "k", b"canary") or c.queue_declare(queue, passive=True),
):
    victim = connection.channel()
    try:
        attempt(victim)
    except ChannelClosedByBroker as closed:
        refused.append(closed.reply_code)
say("refused", refused)
channel.queue_unbind(queue, "shop", "order.*")
channel.queue_delete(full)
channel.exchange_delete("shop")
connection.close()
