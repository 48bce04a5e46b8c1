#include "vmm/cli/kernel_search.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "vmm/machine/arch.h"

#ifndef ONGGI_DATADIR
#define ONGGI_DATADIR "/usr/local/share/onggi"
#endif

/* The folder that guest-images/build writes to; NULL if there is no home. */
static char *built_images_dir(void)
{
	const char *cache = getenv("ONGGI_CACHE");
	const char *xdg = getenv("XDG_CACHE_HOME");
	const char *home = getenv("HOME");
	char *dir = NULL;
	int ret = -1;

	if (cache && *cache)
		ret = asprintf(&dir, "%s/images%s", cache, arch_images_suffix);
	else if (xdg && *xdg)
		ret = asprintf(&dir, "%s/onggi/images%s", xdg,
			       arch_images_suffix);
	else if (home && *home)
		ret = asprintf(&dir, "%s/.cache/onggi/images%s", home,
			       arch_images_suffix);
	return ret < 0 ? NULL : dir;
}

/* Takes the kernel in dir, and with it the initramfs.cpio there if the user
 * named neither an initrd nor a root device. False when there is no kernel:
 * appends its path to tried then. */
static bool try_images(struct vm_config *config, const char *dir, char *tried,
		       size_t size)
{
	autofree char *kernel = NULL;
	autofree char *initramfs = NULL;

	if (!dir || asprintf(&kernel, "%s/%s", dir, arch_kernel_name) < 0)
		return false;
	if (access(kernel, R_OK)) {
		snprintf(tried + strlen(tried), size - strlen(tried), " %s",
			 kernel);
		return false;
	}
	config->kernel = take_ptr(kernel);
	if (config->initrd || config_has_root(config) ||
	    asprintf(&initramfs, "%s/initramfs.cpio", dir) < 0)
		return true;
	if (access(initramfs, R_OK) == 0)
		config->initrd = take_ptr(initramfs);
	return true;
}

int kernel_search(struct vm_config *config, struct error *err)
{
	autofree char *built = built_images_dir();
	char tried[400] = "";
	char host[160];
	struct utsname uts;

	if (config->kernel || try_images(config, built, tried, sizeof(tried)) ||
	    try_images(config, ONGGI_DATADIR, tried, sizeof(tried)))
		return 0;
	uname(&uts);
	snprintf(host, sizeof(host), "/boot/vmlinuz-%s", uts.release);
	if (access(host, R_OK))
		return error_image(
			err, "no kernel found: give --kernel FILE; tried:%s %s",
			tried, host);
	config->kernel = strdup(host);
	if (!config->kernel)
		return error_set(err, ERROR_IMAGE, ENOMEM, "kernel");
	return 0;
}
