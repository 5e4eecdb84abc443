package fdio

import (
	"reflect"
	"testing"
)

func TestZSize(t *testing.T) {
	var show func(ty reflect.Type, ind string)
	show = func(ty reflect.Type, ind string) {
		for i := range ty.NumField() {
			f := ty.Field(i)
			t.Logf("%s%s %v off %d size %d", ind, f.Name, f.Type, f.Offset, f.Type.Size())
			if f.Type.Kind() == reflect.Struct && f.Type.Size() > 40 {
				show(f.Type, ind+"  ")
			}
		}
	}
	t.Log(reflect.TypeFor[Stream]().Size())
	show(reflect.TypeFor[Stream](), "")
}
