std = "luajit"
max_line_length = 120
files["tests/spec"] = { std = "+busted" }
files["tests/faults"] = { std = "+busted" }
files["scripts"] = { read_globals = { "rtcache" } }
exclude_files = { "**/node_modules/**", "build*/**" }
