package pressure

// Probe finds out what would work here, and what is missing if something would not.
// It loads each program once and attaches none.
func Probe() Support {
	o := Options{
		Level: LevelSnapshot | LevelEdges | LevelFlow | LevelRing | LevelFuncs,
	}.filled()
	s := Support{Level: LevelProcess, Kernel: release()}
	k, err := loadKernel(o)
	if err != nil {
		s.Err, s.Probes = err, withoutKernel(err)
		return s
	}
	defer k.close()
	s.Level = LevelSnapshot
	for _, p := range k.table {
		if p.Level == LevelEdges && p.Status == ProbeAvailable {
			s.Level |= LevelEdges
		}
	}
	s.Probes = k.table
	return s
}

// withoutKernel returns the table for when eBPF does not work at all, or is not
// wanted.
func withoutKernel(err error) []Probing {
	status, why := ProbeOff, ""
	if err != nil {
		status, why = ProbeRefused, err.Error()
	}
	var table []Probing
	for _, p := range probes {
		table = append(table, Probing{
			Name: p.name, Hook: p.where(), Level: p.level, Status: status, Why: why,
		})
	}
	return table
}
