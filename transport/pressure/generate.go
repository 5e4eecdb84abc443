package pressure

// The object is committed so that nobody needs clang to build this. It is the same
// to the byte with Debian's clang 14.0.6 and libbpf-dev 1.1.2; a test compares.
//
//go:generate go tool bpf2go -cc clang-14 -strip llvm-strip-14 -target bpfel -tags linux -type begin_record -type tcp_record -type socket_record -type pipe_record -type ring_record -type event -type record_kind -type event_kind -type record_flag bpf bpf/pressure.bpf.c -- -O2 -g -Wall -Werror -mcpu=v3 -Ibpf
