//go:build unix

package setup

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// checkPrivate returns an error if another user owns or may read the file.
func checkPrivate(path string, info fs.FileInfo) error {
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return fmt.Errorf("other users may read or change %s (mode %04o); run: chmod 600 %[1]s", path, mode)
	}
	if owner, ok := info.Sys().(*syscall.Stat_t); ok && int64(owner.Uid) != int64(os.Geteuid()) {
		return fmt.Errorf("%s belongs to the user %d, and this process runs as %d; run: chown %[3]d %[1]s && chmod 600 %[1]s", path, owner.Uid, os.Geteuid())
	}
	return nil
}
