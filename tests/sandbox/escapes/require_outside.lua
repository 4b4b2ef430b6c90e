-- Module names that climb out of the folder, are absolute, or hide a NUL.
-- harmless: held
return {
  load = function(key, ctx)
    for _, name in ipairs {
      "../secret", "..secret", "/etc/passwd", "a/../../b", ".hidden", "a..b", "a\0b", "a/b", "", ".", "a.",
      ("a"):rep(1000), "a\nb", "a%b", "~root",
    } do
      local ok, err = pcall(require, name)
      if ok or not err:find("require takes a module's name", 1, true) then return name .. ": " .. tostring(err) end
    end
    return "held"
  end,
}
