--- What putting mistakes into a copy of the sources needs: files, commands, the copy.

local M = {}

function M.read(path)
  local f = assert(io.open(path, "rb"))
  local text = f:read "*a"
  f:close()
  return text
end

function M.write(path, text)
  local f = assert(io.open(path, "wb"))
  f:write(text)
  f:close()
end

function M.is_there(path)
  local f = io.open(path, "rb")
  if f then f:close() end
  return f ~= nil
end

function M.run(command) return os.execute(command) == 0 end

--- What a command prints.
function M.output(command)
  local pipe = assert(io.popen(command))
  local text = pipe:read "*a"
  pipe:close()
  return text
end

function M.lines(command)
  local list = {}
  for line in M.output(command):gmatch "[^\n]+" do list[#list + 1] = line end
  return list
end

-- Code of the exit; 124: a command under `timeout` took too long.
function M.code(command)
  local status = os.execute(command)
  return status > 255 and math.floor(status / 256) or status
end

--- from -> to in text, where from stands exactly once.
function M.replace_once(text, from, to, where)
  local first, last = text:find(from, 1, true)
  if not first then error(where .. ": the text to replace is not there: " .. from, 0) end
  if text:find(from, last + 1, true) then error(where .. ": it is there twice: " .. from, 0) end
  return text:sub(1, first - 1) .. to .. text:sub(last + 1)
end

local LISTED = "git ls-files --cached --others --exclude-standard"

--- The sources as they are now, those not committed included, into a folder. What stands there and is
--- the same keeps its time.
function M.copy_sources(copy)
  assert(M.run(([[
    mkdir -p '%s' && %s | while read -r f; do
      if [ -e "$f" ] && ! cmp -s "$f" '%s'/"$f"; then mkdir -p '%s'/"$(dirname "$f")" && cp -p "$f" '%s'/"$f"; fi
    done
    (cd '%s' && find core tests lua scripts -type f) | sort >'%s/there'
    %s | sort | comm -13 - '%s/there' | while read -r f; do rm -f '%s'/"$f"; done]])
    :format(copy, LISTED, copy, copy, copy, copy, copy, LISTED, copy, copy)), "the sources could not be copied")
end

--- cmake's configuration of the copy in its folder `build`.
function M.configure(copy, build, options, log)
  if not M.run(("cmake -S '%s' -B '%s/%s' -G Ninja %s >'%s' 2>&1"):format(copy, copy, build, options, log)) then
    io.write(M.read(log))
    error("cmake failed", 0)
  end
end

--- What one copy has compiled, ccache knows for the next.
function M.build(copy, build, log, targets)
  return M.run(("CCACHE_BASEDIR=\"$(cd '%s' && pwd)\" cmake --build '%s/%s' --target %s >'%s' 2>&1")
    :format(copy, copy, build, table.concat(targets, " "), log))
end

--- Ends what tests that failed left behind: whatever still runs with this folder for its temporary
--- files. PostgreSQL goes by itself when it is told to, and leaves no shared memory then.
function M.end_left(folder)
  M.run(([[
    for signal in QUIT 0 0 0 0 0 0 0 0 0 KILL; do
      found=
      for p in $(grep -lsxzF 'TMPDIR=%s' /proc/[0-9]*/environ); do
        p=${p%%/environ} && p=${p#/proc/} && found=1
        [ "$(cat /proc/$p/comm 2>/dev/null)" = postgres ] || kill -KILL $p 2>/dev/null
        kill -$signal $p 2>/dev/null
      done
      [ -z "$found" ] && break
      sleep 0.1
    done; true]]):format(folder))
end

return M
