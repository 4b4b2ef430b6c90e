// msgpack-rpc-lite: a client of npm, with callbacks.
const assert = require('assert');
const rpc = require('msgpack-rpc-lite');

const [host, port] = [process.argv[2], Number(process.argv[3])];
const client = rpc.createClient(port, host);
const call = (method, ...params) => new Promise((resolve, reject) => {
  client.call(method, ...params, (error, result) => (error ? reject(error) : resolve(result)));
});

async function main() {
  assert.strictEqual(await call('ping'), 'pong');
  assert.strictEqual(await call('set', 'lite:1', { name: 'Ann', list: [1, 2, 3] }), true);
  assert.deepStrictEqual(await call('get', 'lite:1'), { name: 'Ann', list: [1, 2, 3] });
  assert.strictEqual((await call('get', 'user:7')).name, 'user 7');
  assert.strictEqual(await call('get', 'absent:1'), null);
  assert.strictEqual(await call('invalidate', 'lite:1'), true);
  const all = await Promise.all(Array.from({ length: 500 }, (_, i) => call('get', `user:${i}`)));
  all.forEach((user, i) => assert.strictEqual(user.id, i));
  await assert.rejects(call('get', 'broken:1'), (error) => {
    assert.match(String(error.message || error), /LOAD_FAILED .*broken on purpose/);
    return true;
  });
  client.notify('set', 'lite:2', 'by notification');
  assert.strictEqual(await call('get', 'lite:2'), 'by notification');
}

main().then(() => process.exit(0), (error) => {
  console.error(error);
  process.exit(1);
});
