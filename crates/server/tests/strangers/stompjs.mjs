// An unmodified @stomp/stompjs against a broker: stompjs.mjs MODULES HOST PORT over TCP, stompjs.mjs MODULES ws://URL over
// WebSocket. Prints "ok" or fails.
import { createRequire } from 'node:module';

const [modules, host, port] = process.argv.slice(2);
const require = createRequire(`${modules}/`);
const { Client } = require('@stomp/stompjs');
const { TCPWrapper } = require('@stomp/tcp-wrapper');
const { WebSocket } = require('ws');

// Generous: what is waited for comes, or the test fails.
const deadline = setTimeout(() => { console.error('nothing came in time'); process.exit(1); }, 30_000);

function check(is, what) {
  if (!is) throw new Error(what);
}

const isWeb = host.startsWith('ws');
const { Versions } = require('@stomp/stompjs');

function connect({ versions, ...options }) {
  return new Promise((resolve, reject) => {
    const client = new Client({
      webSocketFactory: () => (isWeb
        ? new WebSocket(host, (versions ?? Versions.default).protocolVersions())
        : new TCPWrapper(host, Number(port))),
      ...options,
      connectHeaders: { login: 'user', passcode: 'pass' },
      heartbeatIncoming: 500,
      heartbeatOutgoing: 500,
      reconnectDelay: 0,
      onConnect: () => resolve(client),
      onStompError: (frame) => reject(new Error(frame.body)),
    });
    if (versions) client.stompVersions = versions;
    client.activate();
  });
}

const settle = (client) => new Promise((resolve) => {
  const receipt = `r-${Math.random()}`;
  client.watchForReceipt(receipt, resolve);
  client.publish({ destination: '/topic/nobody', headers: { receipt } });
});

const kinds = [{}, { versions: new Versions(['1.1']) }, { versions: new Versions(['1.0']) }];
if (isWeb) kinds.push({ forceBinaryWSFrames: true }, { splitLargeFrames: true, maxWebSocketChunkSize: 16 });
for (const kind of kinds) {
  const client = await connect(kind);
  const heard = [];
  let wake = () => {};
  const add = (message) => { heard.push(message); wake(); };
  const next = async () => {
    while (heard.length === 0) await new Promise((resolve) => { wake = resolve; });
    return heard.shift();
  };

  const subscription = client.subscribe('/topic/js/>', add);
  await settle(client);
  client.publish({ destination: '/topic/js/a', body: 'héllo', headers: { color: 'red' } });
  const message = await next();
  check(message.body === 'héllo' && message.headers.color === 'red', 'text with a header');
  const binaryBody = new Uint8Array([0, 1, 0, 255]);
  client.publish({ destination: '/topic/js/a', binaryBody });
  check(String((await next()).binaryBody) === String(binaryBody), 'bytes');
  const long = 'é'.repeat(100_000);
  client.publish({ destination: '/topic/js/a', body: long });
  check((await next()).body === long, 'a long text');
  subscription.unsubscribe();

  const queue = `/queue/js/${Math.random()}`;
  client.subscribe(queue, add, { ack: 'client-individual', 'prefetch-count': '1' });
  for (const body of ['a', 'b']) client.publish({ destination: queue, body });
  const first = await next();
  await settle(client);
  check(first.body === 'a' && heard.length === 0, 'a prefetch of one');
  first.ack();
  const second = await next();
  check(second.body === 'b', 'the second behind the first ack');
  second.ack();

  const transaction = client.begin();
  client.publish({ destination: queue, body: 'in', headers: { transaction: transaction.id } });
  await settle(client);
  check(heard.length === 0, 'nothing before the commit');
  transaction.commit();
  check((await next()).body === 'in', 'the message of the transaction');
  await client.deactivate();
}
clearTimeout(deadline);
console.log('ok');
