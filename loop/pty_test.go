package loop_test

import "golang.org/x/sys/unix"

// ptyNumber unlocks the terminal behind a master and returns its number.
func ptyNumber(fd int) (int, error) {
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		return 0, err
	}
	n, err := unix.IoctlGetUint32(fd, unix.TIOCGPTN)
	return int(n), err
}
