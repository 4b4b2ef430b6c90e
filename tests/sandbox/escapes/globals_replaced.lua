-- _G itself replaced, and read back through functions made before.
-- harmless: held
return {
  load = function(key, ctx)
    local before = _G
    _G = { os = "mine" }
    local function read() return os.execute end
    local found = read()
    _G = before
    return found == nil and "held" or "escaped"
  end,
}
