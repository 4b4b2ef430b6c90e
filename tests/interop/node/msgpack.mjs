// MessagePack-RPC by hand over @msgpack/msgpack: BigInt, bin keys, ids of every size, pipelining.
import assert from 'node:assert';
import net from 'node:net';
import { Encoder, decodeMultiStream } from '@msgpack/msgpack';

const [host, port, path] = [process.argv[2], Number(process.argv[3]), process.argv[4]];
const encoder = new Encoder({ useBigInt64: true });

class Client {
  constructor(socket) {
    this.socket = socket;
    this.waiting = new Map();
    this.read();
  }

  async read() {
    for await (const message of decodeMultiStream(this.socket, { useBigInt64: true })) {
      const [kind, id, error, result] = message;
      assert.strictEqual(Number(kind), 1);
      const { resolve, reject } = this.waiting.get(Number(id));
      this.waiting.delete(Number(id));
      if (error === null) resolve(result);
      else reject(error);
    }
  }

  call(id, method, ...params) {
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      this.socket.write(encoder.encode([0, id, method, params]));
    });
  }

  notify(method, ...params) {
    this.socket.write(encoder.encode([2, method, params]));
  }
}

async function check(socket) {
  const c = new Client(socket);
  for (const id of [0, 1, 127, 128, 65535, 65536, 2 ** 31, 2 ** 32 - 1]) {
    assert.strictEqual(await c.call(id, 'ping'), 'pong');
  }
  const exact = { least: -(2n ** 63n), most: 2n ** 64n - 1n, f: 0.5, n: null, s: 'Grüße' };
  assert.strictEqual(await c.call(1, 'set', 'node:1', exact), true);
  assert.deepStrictEqual(await c.call(2, 'get', 'node:1'), exact);
  assert.deepStrictEqual(await c.call(3, 'get', new TextEncoder().encode('node:1')), exact);
  assert.strictEqual((await c.call(4, 'get', 'user:7')).big, 9007199254740993n);
  const bytes = Uint8Array.of(255, 0, 254);
  assert.strictEqual(await c.call(5, 'set', bytes, bytes), true);
  assert.deepStrictEqual(Array.from(await c.call(6, 'get', bytes)), [255, 0, 254]);
  assert.strictEqual(await c.call(7, 'invalidate', bytes), true);
  assert.strictEqual(await c.call(8, 'get', 'absent:1'), null);
  await assert.rejects(c.call(9, 'get', 'broken:1').catch((e) => { throw new Error(e); }),
    /LOAD_FAILED .*broken on purpose/);
  const calls = Array.from({ length: 1000 }, (_, i) => c.call(100 + i, 'get', `user:${i}`));
  (await Promise.all(calls)).forEach((user, i) => assert.strictEqual(Number(user.id), i));
  c.notify('set', 'node:2', 'by notification');
  c.notify('nonsense');
  assert.strictEqual(await c.call(10, 'get', 'node:2'), 'by notification');
}

Promise.resolve()
  .then(() => check(net.connect(port, host)))
  .then(() => check(net.connect(path)))
  .then(() => process.exit(0), (error) => {
    console.error(error);
    process.exit(1);
  });
