-- What luacheck takes for granted; https://luacheck.readthedocs.io/en/stable/config.html
std = "luajit"
max_line_length = 120
codes = true
exclude_files = { "tests/sandbox" } -- wrong on purpose

files["tests/spec"] = { std = "+busted" }
files["tests/faults"] = { std = "+busted" }
files["tests/history/scripts"] = { read_globals = { "rtcache" } }
files["tests/chaos/scripts"] = { read_globals = { "rtcache" }, ignore = { "241" } }
files["scripts"] = { read_globals = { "rtcache" } }
files["bench/tarantool.lua"] = { read_globals = { "box" } }
