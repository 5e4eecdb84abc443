package loop

import "testing"

// TestChaosOnEpoll is TestChaos through the engine on epoll itself, on an epoll that is
// simulated: the kernel's side of it.
//
// These faults were planted, see TestPlantedFaultsInEpollAreFound; with each is a seed that
// found it:
//
//	a generation is not checked                              4
//	a generation stays the same                              4
//	EAGAIN of a send is tried again without an event         0
//	the error of a send that was begun is lost in a count    0
//	a reader is left armed after its end                     0
//	a short send is told as a complete one                   0
//	a short send begins at its beginning again               0
//	an event for the writer is the reader's                  0
//	an event for the reader is the writer's                 15
//	a hang-up is not for the reader                          5
//	a descriptor is closed while it is watched               1
//	what the kernel watches is not remembered                0
//	a descriptor that cannot be watched counts as watched    0
//	a cancelled operation keeps its place                    0
//	an interrupted receive is a failure                      0
//	a connect is over when it was begun                      0
//	an interrupted connect is a failure                      5
//	how a connect went is not asked                          2
//	a buffer is written to before its handler has seen it    1
//	EAGAIN ends a listener                                   0
func TestChaosOnEpoll(t *testing.T) { chaosAll(t, onEpoll) }
