#include "vmm/machine/boot_files.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

static int open_image(struct boot_file *file, const char *path,
		      struct own_files *own, const char *use, struct error *err)
{
	/* O_NONBLOCK: a named pipe is refused below, and not waited for */
	autoclose int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	struct own_file entry = { .use = use, .readonly = true };
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		return error_set(err, ERROR_IMAGE, errno, "%s", path);
	if (!S_ISREG(st.st_mode))
		return error_image(err, "%s: not a regular file", path);
	entry.id = file_id_of(&st);
	own_files_add(own, &entry);
	*file = (struct boot_file){
		.fd = take_fd(&fd),
		.size = (uint64_t)st.st_size,
		.name = path,
	};
	return 0;
}

int boot_files_open(struct boot_files *files, const struct vm_config *config,
		    struct own_files *own, struct error *err)
{
	*files = (struct boot_files){
		.kernel.fd = -1,
		.initrd.fd = -1,
		.dump_fd = -1,
	};
	if (open_image(&files->kernel, config->kernel, own, "the kernel", err))
		return error_wrap(err, "kernel");
	if (config->initrd &&
	    open_image(&files->initrd, config->initrd, own, "the initrd", err))
		return error_wrap(err, "initrd");
	return 0;
}

void boot_files_close(struct boot_files *files)
{
	cleanup_close(&files->dump_fd);
	cleanup_close(&files->initrd.fd);
	cleanup_close(&files->kernel.fd);
}

void boot_files_lease(struct boot_files *files)
{
	files->kernel.steady = fcntl(files->kernel.fd, F_SETLEASE, F_RDLCK) ==
			       0;
}

void boot_files_release(struct boot_files *files)
{
	files->kernel.steady = false;
	fcntl(files->kernel.fd, F_SETLEASE, F_UNLCK);
}
