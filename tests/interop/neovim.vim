" Neovim's own client: sockconnect and rpcrequest. A failed check ends with status 1.
let v:errors = []
let s:rpc = sockconnect('tcp', $RTCACHE_ADDRESS, {'rpc': v:true})

try
  call assert_equal('pong', rpcrequest(s:rpc, 'ping'))
  call assert_equal(v:true, rpcrequest(s:rpc, 'set', 'nvim:1', {'name': 'Ann', 'list': [1, 2, 3]}))
  call assert_equal({'name': 'Ann', 'list': [1, 2, 3]}, rpcrequest(s:rpc, 'get', 'nvim:1'))
  call assert_equal('user 7', rpcrequest(s:rpc, 'get', 'user:7').name)
  call assert_equal(9007199254740993, rpcrequest(s:rpc, 'get', 'user:7').big)
  call assert_equal(v:null, rpcrequest(s:rpc, 'get', 'absent:1'))
  call assert_equal(v:true, rpcrequest(s:rpc, 'invalidate', 'nvim:1'))
  call assert_equal(v:null, rpcrequest(s:rpc, 'peek', 'nvim:1'))
  call assert_equal('hit', rpcrequest(s:rpc, 'get_entry', 'user:7').status)
  call assert_equal(2, len(rpcrequest(s:rpc, 'get_many', ['user:1', 'absent:2'])))
  for s:i in range(300)
    call assert_equal('user ' . s:i, rpcrequest(s:rpc, 'get', 'user:' . s:i).name)
  endfor
  call rpcnotify(s:rpc, 'set', 'nvim:2', 'by notification')
  call rpcnotify(s:rpc, 'no_such_method', 1)
  call assert_equal('by notification', rpcrequest(s:rpc, 'get', 'nvim:2'))
  let s:message = ''
  try
    call rpcrequest(s:rpc, 'get', 'broken:1')
  catch
    let s:message = v:exception
  endtry
  call assert_match('LOAD_FAILED.*broken on purpose', s:message)
  call assert_equal('pong', rpcrequest(s:rpc, 'ping'))
catch
  call add(v:errors, v:exception . ' at ' . v:throwpoint)
endtry

if !empty(v:errors)
  call writefile(v:errors, '/dev/stderr')
  cquit 1
endif
qall!
