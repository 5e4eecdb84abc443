package loop

import "testing"

// TestChaosOnEpoll is TestChaos through the engine on epoll itself, on an epoll that is
// simulated: the kernel's side of it.
func TestChaosOnEpoll(t *testing.T) { chaosAll(t, onEpoll) }
