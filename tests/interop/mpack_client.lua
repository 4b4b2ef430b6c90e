-- lua-mpack's RPC session (of the neovim family) over luasocket. Its ids begin at 0.
local mpack = require "mpack"
local socket = require "socket"

local host, port = arg[1], tonumber(arg[2])
local sock = assert(socket.connect(host, port))
local session = mpack.Session { unpack = mpack.Unpacker() }
local pack = mpack.Packer()
local answers, waiting = {}, 0

local function send(method, params, tag)
  assert(sock:send(session:request(tag) .. pack(method) .. pack(params)))
  waiting = waiting + 1
end

local input, at = "", 1

local function receive_all()
  while waiting > 0 do
    local kind, tag, err, result
    if at <= #input then kind, tag, err, result, at = session:receive(input, at) end
    if kind == "response" then
      answers[tag] = { err = err, result = result }
      waiting = waiting - 1
    else
      assert(kind == nil, "the server sent " .. tostring(kind))
      sock:settimeout(30)
      local first = assert(sock:receive(1))
      sock:settimeout(0)
      local _, _, rest = sock:receive(65536)
      input, at = first .. (rest or ""), 1
    end
  end
end

local function call(method, ...)
  send(method, { ... }, "call")
  receive_all()
  local answer = answers.call
  if answer.err ~= nil and answer.err ~= mpack.NIL then return nil, answer.err end
  return answer.result
end

assert(call "ping" == "pong")
assert(call("set", "mpack:1", { name = "Ann" }) == true)
assert(call("get", "mpack:1").name == "Ann")
assert(call("get", "user:7").name == "user 7")
assert(call("get", "absent:1") == mpack.NIL)
assert(call("invalidate", "mpack:1") == true)
local value, err = call("get", "broken:1")
assert(value == nil and err:match "^LOAD_FAILED " and err:find("broken on purpose", 1, true), err)

for i = 1, 500 do send("get", { "user:" .. i }, i) end
receive_all()
for i = 1, 500 do assert(answers[i].result.id == i) end

assert(sock:send(session:notify() .. pack "set" .. pack { "mpack:noted", 5 }))
assert(call("get", "mpack:noted") == 5)
