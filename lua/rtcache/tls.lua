--- TLS for the client, by LuaSec: wraps a connected socket and looks at whom it reached.

local ssl = require "ssl"

local SUBJECT_ALT_NAME = "2.5.29.17"
local ONE_LABEL = "^%*%.(.+)$"

-- Whether a name of a certificate, "*.example.com" too, is that of a host.
local function covers(name, host)
  name, host = name:lower(), host:lower()
  local rest = name:match(ONE_LABEL)
  if rest then return host:match "^[^.]+%.(.+)$" == rest end
  return name == host
end

local function is_address(host) return host:match "^%d+%.%d+%.%d+%.%d+$" or host:find(":", 1, true) end

local function is_for(certificate, host)
  local names = certificate and certificate:extensions()[SUBJECT_ALT_NAME]
  for _, name in ipairs(names and names[is_address(host) and "iPAddress" or "dNSName"] or {}) do
    if covers(name, host) then return true end
  end
  return false
end

---@class rtcache.TlsOptions
---@field ca? string @a PEM file with the CA of the server's certificate; the system's by default
---@field cert? string @a PEM file: our certificate
---@field key? string @a PEM file: its key
---@field name? string @that the server's certificate must have; the host by default

---@param tcp table @connected; handed over
---@param host string
---@param options rtcache.TlsOptions
---@param timeout number @seconds
return function(tcp, host, options, timeout)
  local name = options.name or host
  local sock, err = ssl.wrap(tcp, {
    mode = "client",
    protocol = "any",
    options = { "all", "no_sslv2", "no_sslv3", "no_tlsv1", "no_tlsv1_1" },
    verify = "peer",
    cafile = options.ca,
    capath = not options.ca and "/etc/ssl/certs" or nil,
    certificate = options.cert,
    key = options.key,
  })
  if not sock then
    tcp:close()
    return nil, err
  end
  if not is_address(name) then sock:sni(name) end
  sock:settimeout(timeout)
  local ok
  ok, err = sock:dohandshake()
  if ok and not is_for(sock:getpeercertificate(), name) then
    ok, err = nil, "the server's certificate is not for " .. name
  end
  if ok then return sock end
  sock:close()
  return nil, err
end
