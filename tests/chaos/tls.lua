--- TLS over a connected socket, by OpenSSL itself. LuaSec goes round in circles where a connection ends in the
--- middle of a record (SSL_ERROR_SYSCALL without errno counts as success there), which is what happens here.

local ffi = require "ffi"

ffi.cdef [[
typedef struct ssl_ctx_st SSL_CTX;
typedef struct ssl_st SSL;
const void *TLS_client_method(void);
SSL_CTX *SSL_CTX_new(const void *method);
SSL *SSL_new(SSL_CTX *ctx);
void SSL_free(SSL *ssl);
int SSL_set_fd(SSL *ssl, int fd);
int SSL_connect(SSL *ssl);
int SSL_read(SSL *ssl, void *buf, int n);
int SSL_write(SSL *ssl, const void *buf, int n);
int SSL_shutdown(SSL *ssl);
int SSL_pending(const SSL *ssl);
int SSL_get_error(const SSL *ssl, int ret);
long SSL_CTX_ctrl(SSL_CTX *ctx, int cmd, long value, void *arg);
void ERR_clear_error(void);
]]
local lib, crypto = ffi.load "libssl.so.3", ffi.load "libcrypto.so.3"

local WANT_READ, WANT_WRITE, CLOSED = 2, 3, 6
-- A write may be repeated with the text at another place: Lua's strings stay where they are, copies do not.
local CTRL_MODE, PARTIAL_WRITE, MOVING_BUFFER = 33, 1, 2

local context = lib.SSL_CTX_new(lib.TLS_client_method())
lib.SSL_CTX_ctrl(context, CTRL_MODE, PARTIAL_WRITE + MOVING_BUFFER, nil)
local chunk = ffi.new "char[65536]"

---@class chaos.Tls
local Tls = {}
Tls.__index = Tls

local function reason(self, result)
  local error = lib.SSL_get_error(self.ssl, result)
  if error == WANT_READ then return "wantread" end
  if error == WANT_WRITE then return "wantwrite" end
  return error == CLOSED and "closed" or "broken"
end

function Tls:dohandshake()
  if not self.ssl then return nil, "closed" end
  crypto.ERR_clear_error()
  local result = lib.SSL_connect(self.ssl)
  if result == 1 then return true end
  return nil, reason(self, result)
end

function Tls:receive(n)
  if not self.ssl then return nil, "closed" end
  crypto.ERR_clear_error()
  local got = lib.SSL_read(self.ssl, chunk, math.min(n, 65536))
  if got > 0 then return ffi.string(chunk, got) end
  return nil, reason(self, got)
end

function Tls:send(data, from)
  if not self.ssl then return nil, "closed" end
  crypto.ERR_clear_error()
  local size = #data - from + 1
  local put = lib.SSL_write(self.ssl, ffi.cast("const char *", data) + from - 1, size)
  if put == size then return #data end
  if put > 0 then return nil, "timeout", from + put - 1 end
  return nil, reason(self, put), from - 1
end

-- What socket.select asks for.
function Tls:getfd() return self.tcp:getfd() end
function Tls:dirty() return self.ssl ~= nil and lib.SSL_pending(self.ssl) > 0 end

function Tls:setoption(...) return self.tcp:setoption(...) end

--- Tells the other side that nothing more comes, and closes.
function Tls:close()
  if not self.ssl then return end
  crypto.ERR_clear_error()
  lib.SSL_shutdown(self.ssl)
  lib.SSL_free(self.ssl)
  self.ssl = nil
  self.tcp:close()
end

--- Tells the other side that nothing more comes, and goes on reading.
function Tls:half_close()
  if not self.ssl then return false end
  crypto.ERR_clear_error()
  return lib.SSL_shutdown(self.ssl) >= 0
end

---@param tcp table @connected, without waiting; handed over
return function(tcp)
  local self = setmetatable({ tcp = tcp, ssl = lib.SSL_new(context) }, Tls)
  lib.SSL_set_fd(self.ssl, tcp:getfd())
  return self
end
