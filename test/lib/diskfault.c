/*
 * diskfault.c - a disk that fails when told to, for LD_PRELOAD.
 *
 * DISKFAULT_DIR		a directory: only what is in it is touched
 * DISKFAULT_CONTROL	a file of rules, read anew before each call; replace it with rename
 * DISKFAULT_LEDGER	a file to which is appended what the disk has for sure: see powerloss.py
 * DISKFAULT_GRAVE	with a ledger: a directory of the same file system that keeps a link to
 *			each file that is removed, named by its inode
 *
 * A rule is a line of words, CALL [SUFFIX] WHAT: the first that fits decides, but delays
 * add up.
 *	write .index ENOSPC 1000	fails when so many bytes are written; 0 without a number
 *	write short 7		writes at most so many bytes at a time
 *	sync delay 2000		takes so many ms more
 * Calls: open, write, pread, sync (of a file), syncdir, truncate, unlink, rename, mkdir.
 * Opening to read is "read".  SUFFIX is how the file's name ends, "*" any.
 *
 * The ledger has a line a call that succeeded, of numbers but for names:
 *	create INODE NAME | trunc INODE BYTES | sync INODE BYTES
 *	unlink INODE NAME | rename INODE OLD NEW | syncdir
 */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static const struct {
	const char	*name;
	int		 number;
} errors[] = { { "ENOSPC", ENOSPC }, { "EIO", EIO }, { "EDQUOT", EDQUOT }, { "EROFS", EROFS }, { "EMFILE", EMFILE },
	{ "EACCES", EACCES }, { "ENOMEM", ENOMEM } };

/* bytes written under the rules there are now */
static uint64_t written;
static ino_t rules_inode;

/* --- which file ------------------------------------------------------------------------ */

/* the path of an open file, "" if there is none */
static void
path_of_fd(int fd, char *path)
{
	char link[64];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, PATH_MAX - 1);
	path[n > 0 ? n : 0] = '\0';
}

static void
path_at(int directory_fd, const char *name, char *path)
{
	size_t n;

	path[0] = '\0';
	if (name[0] != '/' && directory_fd != AT_FDCWD) {
		path_of_fd(directory_fd, path);
		n = strlen(path);
		snprintf(path + n, PATH_MAX - n, "/");
	}
	n = strlen(path);
	snprintf(path + n, PATH_MAX - n, "%s", name);
}

static bool
is_ours(const char *path)
{
	const char *directory = getenv("DISKFAULT_DIR");
	size_t n = directory == NULL ? 0 : strlen(directory);

	return n > 0 && strncmp(path, directory, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

static const char *
base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash == NULL ? path : slash + 1;
}

/* --- rules ------------------------------------------------------------------------------- */

struct fate {
	int	 error;		/* 0: none */
	uint64_t after;		/* bytes that are still written */
	uint64_t most;		/* bytes at a time, 0: any number */
};

static size_t
rules_read(char *text, size_t size)
{
	const char *control = getenv("DISKFAULT_CONTROL");
	struct stat st;
	ssize_t n = 0;
	int fd;

	if (control == NULL)
		return 0;
	fd = (int)syscall(SYS_openat, AT_FDCWD, control, O_RDONLY | O_CLOEXEC, 0);
	if (fd == -1)
		return 0;
	if (fstat(fd, &st) == 0 && st.st_ino != __atomic_load_n(&rules_inode, __ATOMIC_SEQ_CST)) {
		__atomic_store_n(&rules_inode, st.st_ino, __ATOMIC_SEQ_CST);
		__atomic_store_n(&written, 0, __ATOMIC_SEQ_CST);
	}
	n = read(fd, text, size - 1);
	syscall(SYS_close, fd);
	return n > 0 ? (size_t)n : 0;
}

/* what becomes of this call; waits if a rule says so */
static struct fate
fate_of(const char *call, const char *path)
{
	struct fate fate = { 0, 0, 0 };
	char text[2048], *line, *next;
	bool decided = false;
	size_t i, n = rules_read(text, sizeof(text));
	int saved = errno;

	text[n] = '\0';
	for (line = text; *line != '\0'; line = next) {
		char what[16] = "", suffix[32] = "*", word[16] = "";
		unsigned long long number = 0;
		size_t length, tail;

		next = strchrnul(line, '\n');
		if (*next != '\0')
			*next++ = '\0';
		if (sscanf(line, "%15s %31s %15s %llu", what, suffix, word, &number) < 2 || strcmp(what, call) != 0)
			continue;
		if (suffix[0] != '.' && suffix[0] != '*') {	/* it is left out */
			strcpy(suffix, "*");
			sscanf(line, "%*s %15s %llu", word, &number);
		}
		length = strlen(path);
		tail = strlen(suffix);
		if (suffix[0] != '*' && (tail > length || strcmp(path + length - tail, suffix) != 0))
			continue;
		if (strcmp(word, "delay") == 0) {
			struct timespec t = { (time_t)(number / 1000), (long)(number % 1000) * 1000000 };

			while (nanosleep(&t, &t) == -1 && errno == EINTR)
				;
			continue;
		}
		if (decided)
			continue;
		if (strcmp(word, "short") == 0)
			fate.most = number;
		for (i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
			if (strcmp(word, errors[i].name) == 0)
				fate.error = errors[i].number;
		if (fate.error != 0) {
			uint64_t so_far = __atomic_load_n(&written, __ATOMIC_SEQ_CST);

			fate.after = number > so_far ? number - so_far : 0;
		}
		decided = true;
	}
	errno = saved;
	return fate;
}

/* true if the call fails */
static bool
fails(const char *call, const char *path)
{
	struct fate fate = fate_of(call, path);

	if (fate.error == 0)
		return false;
	errno = fate.error;
	return true;
}

/* --- the ledger ---------------------------------------------------------------------------- */

__attribute__((__format__(__printf__, 1, 2))) static void
note(const char *format, ...)
{
	const char *ledger = getenv("DISKFAULT_LEDGER");
	char line[512];
	int fd, n, saved = errno;
	va_list ap;

	if (ledger == NULL)
		return;
	va_start(ap, format);
	n = vsnprintf(line, sizeof(line), format, ap);
	va_end(ap);
	fd = (int)syscall(SYS_openat, AT_FDCWD, ledger, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd != -1) {
		if (syscall(SYS_write, fd, line, (size_t)n) != n)
			abort();
		syscall(SYS_close, fd);
	}
	errno = saved;
}

static unsigned long long
inode_of(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 ? (unsigned long long)st.st_ino : 0;
}

/* --- the calls -------------------------------------------------------------------------------- */

static int
open_at(int directory_fd, const char *name, int flags, mode_t mode)
{
	char path[PATH_MAX];
	bool existed;
	int fd;

	path_at(directory_fd, name, path);
	if (!is_ours(path))
		return (int)syscall(SYS_openat, directory_fd, name, flags, mode);
	if (fails((flags & O_ACCMODE) == O_RDONLY ? "read" : "open", path))
		return -1;
	existed = inode_of(path) != 0;
	fd = (int)syscall(SYS_openat, directory_fd, name, flags, mode);
	if (fd != -1 && (flags & O_CREAT) != 0 && !existed)
		note("create %llu %s\n", inode_of(path), base_name(path));
	else if (fd != -1 && (flags & O_TRUNC) != 0)
		note("trunc %llu 0\n", inode_of(path));
	return fd;
}

#define MODE(mode, flags)						\
	do {								\
		va_list ap;						\
									\
		va_start(ap, flags);					\
		if (((flags) & (O_CREAT | O_TMPFILE)) != 0)		\
			(mode) = va_arg(ap, mode_t);			\
		va_end(ap);						\
	} while (0)

int
open(const char *name, int flags, ...)
{
	mode_t mode = 0;

	MODE(mode, flags);
	return open_at(AT_FDCWD, name, flags, mode);
}

int
openat(int directory_fd, const char *name, int flags, ...)
{
	mode_t mode = 0;

	MODE(mode, flags);
	return open_at(directory_fd, name, flags, mode);
}

ssize_t
write(int fd, const void *data, size_t n)
{
	char path[PATH_MAX];
	struct fate fate;
	ssize_t done;

	path_of_fd(fd, path);
	if (!is_ours(path))
		return syscall(SYS_write, fd, data, n);
	fate = fate_of("write", path);
	if (fate.error != 0 && fate.after == 0) {
		errno = fate.error;
		return -1;
	}
	if (fate.error != 0 && n > fate.after)
		n = fate.after;
	if (fate.most != 0 && n > fate.most)
		n = fate.most;
	done = syscall(SYS_write, fd, data, n);
	if (done > 0)
		__atomic_add_fetch(&written, (uint64_t)done, __ATOMIC_SEQ_CST);
	return done;
}

/* in pieces: as good as whole for a file that is appended to */
ssize_t
writev(int fd, const struct iovec *pieces, int count)
{
	ssize_t total = 0, done;
	char path[PATH_MAX];
	int i;

	path_of_fd(fd, path);
	if (!is_ours(path))
		return syscall(SYS_writev, fd, pieces, count);
	for (i = 0; i < count; i++) {
		done = write(fd, pieces[i].iov_base, pieces[i].iov_len);
		if (done == -1)
			return total > 0 ? total : -1;
		total += done;
		if ((size_t)done < pieces[i].iov_len)
			break;
	}
	return total;
}

ssize_t
pread(int fd, void *data, size_t n, off_t offset)
{
	char path[PATH_MAX];

	path_of_fd(fd, path);
	if (is_ours(path) && fails("pread", path))
		return -1;
	return syscall(SYS_pread64, fd, data, n, offset);
}

ssize_t
pwrite(int fd, const void *data, size_t n, off_t offset)
{
	char path[PATH_MAX];

	path_of_fd(fd, path);
	if (is_ours(path) && fails("write", path))
		return -1;
	return syscall(SYS_pwrite64, fd, data, n, offset);
}

/* what was written before it began is on disk when it has succeeded */
static int
sync_file(int fd, long call)
{
	char path[PATH_MAX];
	struct stat st;
	bool directory;

	path_of_fd(fd, path);
	if (!is_ours(path) || fstat(fd, &st) == -1)
		return (int)syscall(call, fd);
	directory = S_ISDIR(st.st_mode);
	if (fails(directory ? "syncdir" : "sync", path) || syscall(call, fd) == -1)
		return -1;
	if (directory)
		note("syncdir\n");
	else
		note("sync %llu %lld\n", (unsigned long long)st.st_ino, (long long)st.st_size);
	return 0;
}

int
fsync(int fd)
{
	return sync_file(fd, SYS_fsync);
}

int
fdatasync(int fd)
{
	return sync_file(fd, SYS_fdatasync);
}

int
ftruncate(int fd, off_t size)
{
	char path[PATH_MAX];
	struct stat st;

	path_of_fd(fd, path);
	if (!is_ours(path) || fstat(fd, &st) == -1)
		return (int)syscall(SYS_ftruncate, fd, size);
	if (fails("truncate", path) || syscall(SYS_ftruncate, fd, size) == -1)
		return -1;
	note("trunc %llu %lld\n", (unsigned long long)st.st_ino, (long long)size);
	return 0;
}

int
unlinkat(int directory_fd, const char *name, int flags)
{
	const char *grave = getenv("DISKFAULT_GRAVE");
	char path[PATH_MAX], kept[PATH_MAX];
	unsigned long long inode;

	path_at(directory_fd, name, path);
	if (!is_ours(path))
		return (int)syscall(SYS_unlinkat, directory_fd, name, flags);
	if (fails("unlink", path))
		return -1;
	inode = inode_of(path);
	if (grave != NULL && inode != 0) {
		snprintf(kept, sizeof(kept), "%s/%llu", grave, inode);
		syscall(SYS_linkat, AT_FDCWD, path, AT_FDCWD, kept, 0);
	}
	if (syscall(SYS_unlinkat, directory_fd, name, flags) == -1)
		return -1;
	note("unlink %llu %s\n", inode, base_name(path));
	return 0;
}

int
unlink(const char *name)
{
	return unlinkat(AT_FDCWD, name, 0);
}

int
renameat(int from_fd, const char *from, int to_fd, const char *to)
{
	char old[PATH_MAX], new[PATH_MAX];

	path_at(from_fd, from, old);
	path_at(to_fd, to, new);
	if (is_ours(new) && fails("rename", new))
		return -1;
	if (syscall(SYS_renameat2, from_fd, from, to_fd, to, 0) == -1)
		return -1;
	if (is_ours(new))
		note("rename %llu %s %s\n", inode_of(new), base_name(old), base_name(new));
	return 0;
}

int
rename(const char *from, const char *to)
{
	return renameat(AT_FDCWD, from, AT_FDCWD, to);
}

int
mkdir(const char *name, mode_t mode)
{
	if (is_ours(name) && fails("mkdir", name))
		return -1;
	return (int)syscall(SYS_mkdirat, AT_FDCWD, name, mode);
}
