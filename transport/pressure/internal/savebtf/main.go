// Command savebtf keeps of a kernel's types what tells which programs fit it: the
// tracepoints' prototypes and the functions that are attached to. What is pointed
// to is left out, so a file is some hundred bytes.
//
//	go run ./transport/pressure/internal/savebtf IN OUT
//
// IN is a vmlinux, or a file such as /sys/kernel/btf/vmlinux.
package main

import (
	"fmt"
	"log"
	"os"

	"github.com/cilium/ebpf/btf"
	"github.com/sluice-net/sluice/transport/pressure"
)

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: savebtf IN OUT")
	}
	if err := save(os.Args[1], os.Args[2]); err != nil {
		log.Fatal(err)
	}
}

func save(in, out string) error {
	spec, err := btf.LoadSpec(in)
	if err != nil {
		return err
	}
	builder, err := btf.NewBuilder(nil, nil)
	if err != nil {
		return err
	}
	for _, name := range pressure.Hooks() {
		kept, err := keep(spec, name)
		if err != nil {
			fmt.Println(name, "is absent")
			continue
		}
		if _, err := builder.Add(kept); err != nil {
			return err
		}
	}
	raw, err := builder.Marshal(nil, nil)
	if err != nil {
		return err
	}
	return os.WriteFile(out, raw, 0o644)
}

// keep returns a copy of a typedef or function whose parameters are all void *.
func keep(spec *btf.Spec, name string) (btf.Type, error) {
	var def *btf.Typedef
	if err := spec.TypeByName(name, &def); err == nil {
		pointer, ok := btf.UnderlyingType(def).(*btf.Pointer)
		if !ok {
			return nil, fmt.Errorf("%s is no pointer", name)
		}
		proto, ok := btf.UnderlyingType(pointer.Target).(*btf.FuncProto)
		if !ok {
			return nil, fmt.Errorf("%s is no pointer to a function", name)
		}
		return &btf.Typedef{Name: name, Type: &btf.Pointer{Target: flat(proto)}}, nil
	}
	var function *btf.Func
	if err := spec.TypeByName(name, &function); err != nil {
		return nil, err
	}
	proto, ok := function.Type.(*btf.FuncProto)
	if !ok {
		return nil, fmt.Errorf("%s has no prototype", name)
	}
	return &btf.Func{Name: name, Type: flat(proto), Linkage: function.Linkage}, nil
}

func flat(proto *btf.FuncProto) *btf.FuncProto {
	out := &btf.FuncProto{Return: &btf.Void{}}
	for _, p := range proto.Params {
		out.Params = append(out.Params, btf.FuncParam{
			Name: p.Name, Type: &btf.Pointer{Target: &btf.Void{}},
		})
	}
	return out
}
