--- What threads share, and where: the lists, and the rules that hold the sources to them.

local M = {}

-- Where threads share state; nowhere else is there an atomic or a lock.
M.shared = {
  ["base/log"] = "the level, and the count of each call site",
  ["conf/conf"] = "references to a snapshot",
  ["metrics/metrics"] = "counters, summed when read",
  ["sys/mailbox"] = "messages between loops",
  ["sys/pool"] = "the queue of a thread pool",
  ["store/shard"] = "a shard's lock",
  ["store/shard_tick"] = "the same lock",
  ["store/shard_put"] = "the same lock",
  ["store/dump"] = "the same lock",
  ["store/restore"] = "the same lock",
  ["store/shard_priv"] = "the same limit",
  ["store/heap"] = "entries that are returned to a shard from outside its lock",
  ["store/compact"] = "references to an entry",
  ["store/entry_refs"] = "references to an entry",
  ["store/entry"] = "references to an entry",
  ["load/flight"] = "the table of flights, here and in the next three",
  ["load/flight_change"] = "the table of flights",
  ["load/flight_end"] = "the table of flights",
  ["load/flight_join"] = "the table of flights",
  ["load/flight_priv"] = "the table of flights",
  ["load/flight_keep"] = "the table of flights",
  ["load/flight_table"] = "the table of flights",
  ["load/admission"] = "counts that stats reads",
  ["load/load_end"] = "counts that stats reads",
  ["load/snapshot"] = "references to a snapshot",
  ["load/live"] = "what threads count and know while snapshots come and go",
  ["load/feed"] = "whether a feed is cut, which loads ask",
  ["load/feeds"] = "what stats reads of the feeds",
  ["load/keep"] = "that a snapshot is given up",
  ["load/keep_save"] = "that a snapshot is given up",
  ["load/keep_restore"] = "that a start is given up",
  ["load/keep_numbers"] = "what a restart brought back, which stats reads",
  ["server/restart"] = "that the worker is to stop",
  ["server/restart_priv"] = "that the worker is to stop, and whether a feed goes on",
  ["server/restart_apply"] = "that a start is given up",
  ["load/feed_places"] = "where feeds are, which whoever writes a snapshot asks",
  ["serve/ledger"] = "what connections hold, which all I/O threads sum up",
  ["load/totals"] = "reads what threads count",
  ["tier/tier"] = "what the tier counts, and how large its table is",
  ["tier/tier_queue"] = "what waits to be written to the tier",
  ["tier/tier_slots"] = "which keys were changed",
  ["load/news"] = "what is on its way to each I/O thread",
  ["state/journal"] = "the file that all threads write their changes to, here and in the next three",
  ["state/journal_priv"] = "the journal's locks",
  ["state/journal_life"] = "the journal's files change",
  ["state/journal_tick"] = "which files a snapshot needs",
  ["store/marks"] = "tags and patterns, in one order",
  ["store/globs"] = "references to a pattern that shards share",
  ["backend/sqlite/sqlite_beside"] = "the files beside a database, for all that open it",
  ["sys/loop_memory"] = "the reserve of all loops",
  ["store/store"] = "reads the shards' counters",
}

-- Where a thread has state of its own outside its loop; nowhere else is there a _Thread_local.
M.thread_locals = {
  ["base/log"] = "log_q and log_key lend texts for one line of the log, to any thread",
  ["base/memory"] = "jemalloc keeps a count for each thread, and where it stands is asked once",
  ["metrics/metrics"] = "each thread counts in a block of its own",
  ["sys/worker"] = "which loop a thread runs, for the asserts that its state is touched by no other",
  ["wire/json_read"] = "jansson's allocator has no argument, so what failed is left where the caller finds it",
}

local function folder_of(path) return path:match "^core/([^/]+)/" end

local function stem_of(path) return path:match "^core/(.+)%.[ch]$" end

local SHARED_WORDS = {
  "_Atomic%f[^%w_]", "atomic_[%w_]+", "pthread_mutex[%w_]*", "pthread_cond[%w_]*", "pthread_rwlock[%w_]*",
  "pthread_spin[%w_]*", "__atomic_[%w_]+", "__sync_[%w_]+",
}
local LOCAL_WORDS = { "_Thread_local%f[^%w_]", "__thread%f[^%w_]", "thread_local%f[^%w_]" }

local function word_in(line, words)
  for _, word in ipairs(words) do
    local found = line:match("%f[%w_]" .. word)
    if found then return found end
  end
end

local function only_in(list, words, what)
  return function(_, file, report)
    local stem = stem_of(file.path)
    if not stem or list[stem] then return end
    for number, line in ipairs(file.code) do
      local word = word_in(line, words)
      if word then report(number, word .. ": " .. what) end
    end
  end
end

local rules = {}
M.rules = rules

rules.threads = only_in(M.shared, SHARED_WORDS, "this file is not one that threads share")
rules.thread_locals = only_in(M.thread_locals, LOCAL_WORDS,
  "state belongs to a loop, or its file is named with a reason")

-- The atomic fields and variables that the files of each folder declare: name -> { folder -> true }.
local function declared_atomics(tree)
  local homes = {}
  for _, file in ipairs(tree.list) do
    local folder = folder_of(file.path)
    for _, line in ipairs(folder and file.code or {}) do
      local names = line:match "%f[%w_]_Atomic%f[^%w_]%s*%b()%s*(.*)"
        or line:match "%f[%w_]_Atomic%f[^%w_]%s*[%w_]+(.*)"
      -- A field, or a variable of the file; a parameter or a variable of a function is a way to one.
      names = (names or ""):gsub("%b[]", ""):match(line:match "^%s" and "^([^=;()]*);" or "^([^=;()]*)[=;]")
      for name in (names or ""):gmatch "[%a_][%w_]*" do
        homes[name] = homes[name] or {}
        homes[name][folder] = true
      end
    end
  end
  return homes
end

-- The field at the end of the first argument: `&c->of[i].cut, x` is "cut".
local function operand_of(arguments)
  local first = arguments:gsub("%b[]", ""):gsub("%b()", ""):match "^[^,)]*"
  return first:match "([%a_][%w_]*)%s*$"
end

-- What one folder shares between threads, another asks it for.
function rules.foreign_atomics(tree, file, report)
  local folder = folder_of(file.path)
  if not folder then return end
  tree.atomics = tree.atomics or declared_atomics(tree)
  for number, line in ipairs(file.code) do
    for arguments in line:gmatch "%f[%w_]_?_?atomic_[%w_]+%((.*)" do
      local name = operand_of(arguments)
      local homes = name and tree.atomics[name]
      if homes and not homes[folder] then
        report(number, ("%s is an atomic of %s: a function there reads and writes it"):format(name, next(homes)))
      end
    end
  end
end

local function line_with(file, text)
  for number, line in ipairs(file.lines) do
    if line:find(text, 1, true) then return number end
  end
  return 1
end

-- Whether a list still says what is so; file: this one, as a source.
local function stale(tree, file, list, words, report)
  for stem in pairs(list) do
    local found = false
    for _, ending in ipairs { ".c", ".h" } do
      local source = tree.by_path["core/" .. stem .. ending]
      for _, line in ipairs(source and source.code or {}) do found = found or word_in(line, words) ~= nil end
    end
    if not found then
      report(line_with(file, '["' .. stem .. '"]'),
        ("core/%s has nothing of this kind any more: take it out"):format(stem))
    end
  end
end

function rules.stale_lists(tree, file, report)
  if file.path ~= "tests/structure/threads.lua" then return end
  stale(tree, file, M.shared, SHARED_WORDS, report)
  stale(tree, file, M.thread_locals, LOCAL_WORDS, report)
end

return M
