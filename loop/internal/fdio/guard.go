package fdio

// pauseWriting has the protocol write no more for now.
func (s *Stream) pauseWriting() {
	s.pub.page.PauseWriting(s.pub.slot)
	s.host.Paused(s, s.flow.Size(), s.flow.Limits())
	s.guard.PauseWriting()
}

// resumeWriting has it go on.
func (s *Stream) resumeWriting() {
	s.pub.page.ResumeWriting(s.pub.slot)
	s.host.Resumed(s, s.flow.Size(), s.flow.Limits())
	s.guard.ResumeWriting()
}
