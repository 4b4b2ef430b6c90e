--- A small SQLite database beside the server's own connection, through the library itself.

local ffi = require "ffi"

ffi.cdef [[
typedef struct sqlite3 sqlite3;
int sqlite3_open(const char *path, sqlite3 **db);
int sqlite3_exec(sqlite3 *db, const char *sql, int (*row)(void *, int, char **, char **), void *arg,
                 char **error);
int sqlite3_busy_timeout(sqlite3 *db, int ms);
int sqlite3_get_table(sqlite3 *db, const char *sql, char ***result, int *rows, int *columns,
                      char **error);
void sqlite3_free_table(char **result);
const char *sqlite3_errmsg(sqlite3 *db);
int sqlite3_close(sqlite3 *db);
]]
local lib = ffi.load "sqlite3.so.0"

---@class support.Sqlite
local Sqlite = {}
Sqlite.__index = Sqlite

---@param path string
---@param schema? string
function Sqlite.open(path, schema)
  local out = ffi.new "sqlite3 *[1]"
  if lib.sqlite3_open(path, out) ~= 0 then error("cannot open " .. path, 2) end
  local self = setmetatable({ db = out[0], path = path }, Sqlite)
  lib.sqlite3_busy_timeout(self.db, 30000)
  if schema then self:exec("PRAGMA journal_mode = wal; PRAGMA synchronous = off; " .. schema) end
  return self
end

function Sqlite:exec(sql)
  if lib.sqlite3_exec(self.db, sql, nil, nil, nil) ~= 0 then
    error(ffi.string(lib.sqlite3_errmsg(self.db)), 2)
  end
end

--- The first column of the first row, as text; nil where there is none.
function Sqlite:value(sql)
  local result, rows, columns = ffi.new "char **[1]", ffi.new "int[1]", ffi.new "int[1]"
  if lib.sqlite3_get_table(self.db, sql, result, rows, columns, nil) ~= 0 then
    error(ffi.string(lib.sqlite3_errmsg(self.db)), 2)
  end
  local value
  if rows[0] > 0 and result[0][columns[0]] ~= nil then
    value = ffi.string(result[0][columns[0]])
  end
  lib.sqlite3_free_table(result[0])
  return value
end

function Sqlite:number(sql) return tonumber(self:value(sql)) end

function Sqlite:close()
  lib.sqlite3_close(self.db)
  self.db = nil
end

return Sqlite
