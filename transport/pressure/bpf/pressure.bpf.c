// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// What pressure attaches: one iterator that is read for snapshots, and programs
// on tracepoints with BTF. They are loaded one by one, and those whose hook a
// kernel lacks are left out, so nothing here may rely on another being there.
//
// Which sockets are the traced process's is remembered in socket storage that
// accepted sockets inherit from their listener; which rings, in a short table that
// is searched by comparing pointers, as the verifier refuses to hash them.
#include "ktypes.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>
#include "pressure.h"

char LICENSE[] SEC("license") = "Dual MIT/GPL";

#include "state.h"
#include "snap.h"
#include "edges.h"
#include "flow.h"
#include "ring.h"

// Types that no map holds are named here, or bpf2go would not find them.
const struct begin_record *begin_record_type __attribute__((unused));
const struct tcp_record *tcp_record_type __attribute__((unused));
const struct socket_record *socket_record_type __attribute__((unused));
const struct pipe_record *pipe_record_type __attribute__((unused));
const struct ring_record *ring_record_type __attribute__((unused));
const struct event *event_type __attribute__((unused));
const enum record_kind *record_kind_type __attribute__((unused));
const enum event_kind *event_kind_type __attribute__((unused));
const enum record_flag *record_flag_type __attribute__((unused));
