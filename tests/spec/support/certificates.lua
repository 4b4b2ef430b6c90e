--- Certificates of a test, made by the openssl command in a temporary folder.
--
--   local certificates = Certificates.make()
--   certificates:issue("server", "DNS:localhost,IP:127.0.0.1")
--   certificates:path "server.pem"; certificates:text "server.key"
--   certificates:remove()

local files = require "spec.support.files"
local process = require "spec.support.process"

---@class support.Certificates
---@field folder string
local Certificates = {}
Certificates.__index = Certificates

local EC = { "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes" }

local function openssl(self, ...)
  local command = { "openssl" }
  for _, words in ipairs { ... } do
    for _, word in ipairs(type(words) == "table" and words or { words }) do command[#command + 1] = word end
  end
  local status, text = process.run(command, { cwd = self.folder })
  if status ~= 0 then error("openssl failed: " .. text, 3) end
end

--- A CA of this name: NAME.pem and NAME.key.
function Certificates:ca(name)
  openssl(self, { "req", "-x509" }, EC, {
    "-days", "30", "-subj", "/CN=" .. name, "-keyout", name .. ".key", "-out", name .. ".pem",
  })
end

--- A certificate, NAME.pem and NAME.key.
---@param name string @also its common name
---@param names string @as subjectAltName is written
---@param options? table @ca: "ca" by default; days: 30 by default, below 0: it is past
function Certificates:issue(name, names, options)
  options = options or {}
  local ca = options.ca or "ca"
  openssl(self, "req", EC, { "-subj", "/CN=" .. name, "-keyout", name .. ".key", "-out", name .. ".csr" })
  files.write(self:path(name .. ".ext"), "subjectAltName=" .. names)
  openssl(self, {
    "x509", "-req", "-in", name .. ".csr", "-CA", ca .. ".pem", "-CAkey", ca .. ".key", "-CAcreateserial",
    "-days", tostring(options.days or 30), "-extfile", name .. ".ext", "-out", name .. ".pem",
  })
end

function Certificates:path(name) return self.folder .. "/" .. name end

function Certificates:text(name) return assert(files.read(self:path(name))) end

function Certificates:remove() files.remove(self.folder) end

--- A folder with the CA "ca".
---@return support.Certificates
function Certificates.make()
  local self = setmetatable({ folder = process.temporary_folder() }, Certificates)
  self:ca "ca"
  return self
end

return Certificates
