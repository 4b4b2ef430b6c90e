// The Go codec library's MessagePack-RPC (ugorji/go/codec, MsgpackSpecRpc) under net/rpc.
// An error that is no string, or a message that nobody asked for, would end its connection.
package main

import (
	"fmt"
	"net"
	"net/rpc"
	"os"
	"strings"

	"github.com/ugorji/go/codec"
)

func check(ok bool, format string, args ...interface{}) {
	if !ok {
		fmt.Printf(format+"\n", args...)
		os.Exit(1)
	}
}

func run(network, address string) {
	conn, err := net.Dial(network, address)
	check(err == nil, "dial: %v", err)
	handle := &codec.MsgpackHandle{WriteExt: true}
	handle.RawToString = true
	client := rpc.NewClientWithCodec(codec.MsgpackSpecRpc.ClientCodec(conn, handle))
	defer client.Close()

	call := func(method string, result interface{}, args ...interface{}) {
		// A nil slice would be sent as nil, which is no array of params.
		params := append(codec.MsgpackSpecRpcMultiArgs{}, args...)
		err := client.Call(method, params, result)
		check(err == nil, "%s %v: %v", method, args, err)
	}
	var text string
	var yes bool
	call("ping", &text)
	check(text == "pong", "ping: %q", text)
	call("set", &yes, "go:1", map[string]interface{}{"name": "Ann", "big": int64(9007199254740993)})
	check(yes, "set")
	var person struct {
		Name string `codec:"name"`
		Big  int64  `codec:"big"`
	}
	call("get", &person, "go:1")
	check(person.Name == "Ann" && person.Big == 9007199254740993, "get: %+v", person)
	person.Name = ""
	call("get", &person, []byte("go:1"))
	check(person.Name == "Ann", "get by bin: %+v", person)
	call("invalidate", &yes, "go:1")
	check(yes, "invalidate")
	var bytes []byte
	call("set", &yes, []byte("go:\xff"), []byte{255, 0, 254})
	call("get", &bytes, []byte("go:\xff"))
	check(string(bytes) == "\xff\x00\xfe", "bytes: %v", bytes)

	err = client.Call("get", codec.MsgpackSpecRpcMultiArgs{"broken:1"}, &text)
	check(err != nil && strings.HasPrefix(err.Error(), "LOAD_FAILED ") &&
		strings.Contains(err.Error(), "broken on purpose"), "error: %v", err)
	call("ping", &text)

	users := make([]struct {
		ID int `codec:"id"`
	}, 500)
	calls := make([]*rpc.Call, len(users))
	for i := range users {
		args := codec.MsgpackSpecRpcMultiArgs{fmt.Sprintf("user:%d", i)}
		calls[i] = client.Go("get", args, &users[i], nil)
	}
	for i, c := range calls {
		<-c.Done
		check(c.Error == nil && users[i].ID == i, "user %d: %v, %+v", i, c.Error, users[i])
	}
}

func main() {
	run("tcp", net.JoinHostPort(os.Args[1], os.Args[2]))
	run("unix", os.Args[3])
}
