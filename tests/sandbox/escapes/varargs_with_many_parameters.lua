-- Few arguments to a function of many parameters (Lua, CVE-2014-5461).
-- harmless: held
return {
  load = function(key, ctx)
    local function f(p1, p2, p3, p4, p5, p6, p7, p8, p9, p10, p11, p12, p13, p14, p15, p16, p17, p18, p19, p20,
      p21, p22, p23, p24, p25, p26, p27, p28, p29, p30, p31, p32, p33, p34, p35, p36, p37, p38, p39, p40, ...)
      return select("#", ...)
    end
    local function deep(n) return n == 0 and f() or deep(n - 1) + f(n) + f(unpack({}, 1, 200)) - 160 end
    return deep(150) and "held"
  end,
}
