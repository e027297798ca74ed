package client

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// How Go lays out the type of a struct in a program, in bytes from its beginning; the same since Go 1.17. What is read so is
// compared with what stands in the texts of operations: were it read wrongly, the test would say so.
const (
	typeKindAt    = 23
	typeNameAt    = 40
	typeFieldsAt  = 56
	typeSize      = 80
	fieldSize     = 24
	kindMask      = 1<<5 - 1
	nameHasTag    = 1 << 1
	maxNameFlags  = 1<<4 - 1
	maxTypeFields = 256
	maxNameLength = 512

	// coreTypes begins the names of the types that the core makes its variables of.
	coreTypes = "*gql."
)

// program is an executable as it stands in memory.
type program struct {
	sections []section
	// types is where Go's types begin, from which their names are counted.
	types section
}

type section struct {
	address uint64
	data    []byte
}

func loadProgram(core []byte) (program, error) {
	file, err := elf.NewFile(bytes.NewReader(core))
	if err != nil {
		return program{}, fmt.Errorf("read the client's core: %w", err)
	}
	var p program
	for _, s := range file.Sections {
		if s.Flags&elf.SHF_ALLOC == 0 || s.Type == elf.SHT_NOBITS {
			continue
		}
		data, err := s.Data()
		if err != nil {
			return program{}, fmt.Errorf("read the section %s of the client's core: %w", s.Name, err)
		}
		found := section{s.Addr, data}
		p.sections = append(p.sections, found)
		if s.Name == ".go.type" || (s.Name == ".rodata" && p.types.data == nil) { // the latter before Go 1.27
			p.types = found
		}
	}
	return p, nil
}

// at is what is in memory from an address on; nil where nothing is.
func (p program) at(address uint64) []byte {
	for _, s := range p.sections {
		if address >= s.address && address-s.address < uint64(len(s.data)) {
			return s.data[address-s.address:]
		}
	}
	return nil
}

// name reads a name of a type or a field, and the field's tag.
func (p program) name(address uint64) (name, tag string, ok bool) {
	data := p.at(address)
	if len(data) == 0 || data[0] > maxNameFlags {
		return "", "", false
	}
	flags, data := data[0], data[1:]
	read := func() string {
		n, width := binary.Uvarint(data)
		if ok = width > 0 && n <= maxNameLength && uint64(len(data)-width) >= n; !ok {
			return ""
		}
		text := string(data[width : width+int(n)])
		data = data[width+int(n):]
		return text
	}
	name = read()
	if ok && flags&nameHasTag != 0 {
		tag = read()
	}
	return name, tag, ok
}

// fields are the names that a struct's fields have in JSON; nil where what is there is no such struct.
func (p program) fields(kind []byte) []string {
	begin, n := binary.LittleEndian.Uint64(kind[typeFieldsAt:]), binary.LittleEndian.Uint64(kind[typeFieldsAt+8:])
	list := p.at(begin)
	if n == 0 || n > maxTypeFields || binary.LittleEndian.Uint64(kind[typeFieldsAt+16:]) != n || uint64(len(list)) < n*fieldSize {
		return nil
	}
	var fields []string
	for i := range n {
		_, tag, ok := p.name(binary.LittleEndian.Uint64(list[i*fieldSize:]))
		name, _, _ := strings.Cut(reflect.StructTag(tag).Get("json"), ",")
		if !ok || name == "" {
			return nil
		}
		fields = append(fields, name)
	}
	return fields
}

// CoreInputs reads from the client's core the types of what it sends, with the names of their fields in JSON: input types
// of the schema, and for each operation X, as "__XInput", its variables.
func CoreInputs(t testing.TB) []Input {
	t.Helper()
	p, err := loadProgram(Newest().readCore(t))
	if err != nil {
		t.Fatal(err)
	}
	var inputs []Input
	for at := 0; at+typeSize <= len(p.types.data); at += 8 {
		kind := p.types.data[at:]
		if reflect.Kind(kind[typeKindAt]&kindMask) != reflect.Struct {
			continue
		}
		name, _, ok := p.name(p.types.address + uint64(binary.LittleEndian.Uint32(kind[typeNameAt:])))
		if !ok || !strings.HasPrefix(name, coreTypes) || !strings.HasSuffix(name, "Input") {
			continue
		}
		if fields := p.fields(kind); fields != nil {
			inputs = append(inputs, Input{Name: strings.TrimPrefix(name, coreTypes), Source: coreSource, Fields: fields})
		}
	}
	return inputs
}
