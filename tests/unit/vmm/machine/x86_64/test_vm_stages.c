/* A start that fails at any point leaves nothing behind: no descriptor, thread,
 * process or file. On a real /dev/kvm, with a guest that never runs. */
#include "tests/unit/unit.h"

#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "vmm/host/passt.h"
#include "vmm/host/virtiofsd.h"
#include "vmm/machine/arch.h"
#include "vmm/machine/kvm.h"
#include "vmm/machine/vm.h"

struct fixture {
	bool has_kvm; /* or else there is nothing else */
	char dir[32];
	char kernel[64], disk[64], pmem[64], vsock[64], pidfile[64], hvc[64];
	char words[16][96];
	struct vm_config config;
	struct vm_layout layout;
	struct timeline timeline;
	struct resources resources;
	struct vm vm;
};

/* A PVH kernel of one instruction. */
static void write_kernel(const char *path)
{
	struct {
		Elf64_Ehdr header;
		Elf64_Phdr load, note;
		struct {
			Elf64_Nhdr header;
			char name[4];
			uint32_t entry, pad;
		} pvh;
		uint8_t code[16];
	} file = {
		.header = { .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64,
					 ELFDATA2LSB, EV_CURRENT },
			    .e_type = ET_EXEC,
			    .e_machine = EM_X86_64,
			    .e_version = EV_CURRENT,
			    .e_phoff = sizeof(Elf64_Ehdr),
			    .e_ehsize = sizeof(Elf64_Ehdr),
			    .e_phentsize = sizeof(Elf64_Phdr),
			    .e_phnum = 2 },
		.load = { .p_type = PT_LOAD,
			  .p_flags = PF_R | PF_X,
			  .p_paddr = 0x100000,
			  .p_vaddr = 0x100000 },
		.note = { .p_type = PT_NOTE },
		.pvh = { .header = { .n_namesz = 4,
				     .n_descsz = 4,
				     .n_type = 18 },
			 .name = "Xen",
			 .entry = 0x100000 },
		.code = { 0xf4 },
	};
	int fd = open(path, O_WRONLY | O_CREAT, 0644);

	file.load.p_offset = (size_t)((char *)file.code - (char *)&file);
	file.load.p_filesz = file.load.p_memsz = sizeof(file.code);
	file.note.p_offset = (size_t)((char *)&file.pvh - (char *)&file);
	file.note.p_filesz = file.note.p_memsz = sizeof(file.pvh) - 4;
	file.header.e_entry = 0x100000;
	assert_int_equal(write(fd, &file, sizeof(file)), sizeof(file));
	close(fd);
}

static void write_zeroes(const char *path, off_t size)
{
	int fd = open(path, O_WRONLY | O_CREAT, 0644);

	assert_int_equal(ftruncate(fd, size), 0);
	close(fd);
}

/* Everything that a configuration can ask for, as far as the host has it. */
static void configure(struct fixture *f)
{
	char path[PATH_MAX];
	bool vhost_user, help;
	char *argv[32];
	int argc = 0;
	struct error err;

	snprintf(f->words[0], sizeof(f->words[0]), "%s,iothread=io", f->disk);
	snprintf(f->words[1], sizeof(f->words[1]), "file=%s", f->hvc);
	snprintf(f->words[2], sizeof(f->words[2]), "%s:tag", f->dir);
	argv[argc++] = "--kernel";
	argv[argc++] = f->kernel;
	argv[argc++] = "--memory=32M";
	argv[argc++] = "--cpus=2";
	argv[argc++] = "--disk";
	argv[argc++] = f->words[0];
	argv[argc++] = "--pmem";
	argv[argc++] = f->pmem;
	argv[argc++] = "--vsock";
	argv[argc++] = f->vsock;
	argv[argc++] = "--balloon=stats=1";
	argv[argc++] = "--pidfile";
	argv[argc++] = f->pidfile;
	argv[argc++] = "--hvc";
	argv[argc++] = f->words[1];
	argv[argc++] = "--console=none";
	if (passt_find(path, &vhost_user))
		argv[argc++] = "--net=user";
	if (virtiofsd_find(path)) {
		argv[argc++] = "--share";
		argv[argc++] = f->words[2];
	}
	config_init(&f->config);
	if (config_parse(&f->config, argc, argv, &help, &err) ||
	    config_settle(&f->config, &err) || config_check(&f->config, &err) ||
	    arch_layout(&f->config, &f->layout, &err))
		fail_msg("%s", err.text);
	arch_settle_config(&f->config);
}

static int setup(void **state)
{
	static struct fixture f;
	struct error err;
	autoclose int kvm = kvm_open(&err);

	f = (struct fixture){
		.has_kvm = kvm >= 0,
		.dir = "/tmp/onggi-stages-XXXXXX",
	};
	*state = &f;
	if (!f.has_kvm)
		return 0;
	assert_non_null(mkdtemp(f.dir));
	snprintf(f.kernel, sizeof(f.kernel), "%s/kernel", f.dir);
	snprintf(f.disk, sizeof(f.disk), "%s/disk", f.dir);
	snprintf(f.pmem, sizeof(f.pmem), "%s/pmem", f.dir);
	snprintf(f.vsock, sizeof(f.vsock), "%s/vsock", f.dir);
	snprintf(f.pidfile, sizeof(f.pidfile), "%s/pid", f.dir);
	snprintf(f.hvc, sizeof(f.hvc), "%s/hvc", f.dir);
	write_kernel(f.kernel);
	write_zeroes(f.disk, 1 << 20);
	write_zeroes(f.pmem, 2 << 20);
	write_zeroes(f.hvc, 0);
	log_set_level(LOG_ERROR);
	signals_block();
	configure(&f);
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	if (!f->has_kvm)
		return 0;
	config_free(&f->config);
	unlink(f->kernel);
	unlink(f->disk);
	unlink(f->pmem);
	unlink(f->hvc);
	return rmdir(f->dir); /* fails if anything is left */
}

static unsigned count_entries(const char *path)
{
	DIR *dir = opendir(path);
	unsigned count = 0;

	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

/* What a start must not leave behind. Threads end a moment after they were
 * joined. */
struct census {
	unsigned fds, threads;
};

static struct census take_census(void)
{
	struct census census;

	for (int i = 0; i < 1000; i++) {
		census.threads = count_entries("/proc/self/task");
		if (census.threads == 3) /* ".", ".." and this one */
			break;
		usleep(1000);
	}
	census.fds = count_entries("/proc/self/fd");
	return census;
}

static void assert_nothing_left(struct fixture *f, struct census before,
				const char *when)
{
	struct census now = take_census();

	if (now.fds != before.fds || now.threads != before.threads)
		fail_msg("%s: %u descriptors, %u threads; before: %u, %u", when,
			 now.fds, now.threads, before.fds, before.threads);
	if (waitpid(-1, NULL, WNOHANG) != -1 || errno != ECHILD)
		fail_msg("%s: a child process is left", when);
	if (access(f->vsock, F_OK) == 0 || access(f->pidfile, F_OK) == 0)
		fail_msg("%s: a file is left", when);
}

static void open_resources(struct fixture *f)
{
	struct error err;

	if (resources_open(&f->resources, &f->config, &f->layout, &f->timeline,
			   &err))
		fail_msg("%s", err.text);
}

/* Each file that is opened is missing once, or is where no file can be. */
static void each_opening_is_undone(void **state)
{
	struct fixture *f = *state;
	char **const paths[] = {
		&f->config.kernel,	  &f->config.disks[0].path,
		&f->config.pmems[0].path, &f->config.pidfile,
		&f->config.console.file,  &f->config.hvc.file,
		&f->config.vsock.path,
	};
	struct census before;
	struct error err;

	if (!f->has_kvm)
		skip();
	before = take_census();
	f->config.console.none = false;
	for (unsigned i = 0; i < ARRAY_SIZE(paths); i++) {
		char *good = *paths[i];

		*paths[i] = "/nowhere/file";
		assert_int_equal(resources_open(&f->resources, &f->config,
						&f->layout, &f->timeline, &err),
				 -1);
		*paths[i] = good;
		assert_non_null(strstr(err.text, "/nowhere/file"));
		assert_nothing_left(f, before, err.text);
	}
}

static int (*real_create)(struct vm *vm, struct error *err);

static int create_and_fail(struct vm *vm, struct error *err)
{
	return real_create(vm, err)
		       ? -1
		       : error_set(err, ERROR_IO, 0, "this stage fails");
}

static void each_stage_is_undone(void **state)
{
	struct fixture *f = *state;
	struct vm_stage stages[VM_STAGES];
	struct census before, outside;
	struct error err;

	if (!f->has_kvm)
		skip();
	outside = take_census();
	for (unsigned i = 0; i < VM_STAGES; i++) {
		open_resources(f);
		before = take_census();
		memcpy(stages, vm_stages, sizeof(stages));
		real_create = stages[i].create;
		stages[i].create = create_and_fail;
		assert_int_equal(vm_create(&f->vm, stages, &f->resources, &err),
				 -1);
		assert_string_equal(err.text, "this stage fails");
		if (take_census().threads != before.threads)
			fail_msg("%s: a thread is left", stages[i].name);
		resources_close(&f->resources);
		assert_nothing_left(f, outside, stages[i].name);
	}
}

/* A VM that was made whole is taken down as well, and so is one that boots
 * again on the same resources. */
static void a_whole_vm_is_undone(void **state)
{
	struct fixture *f = *state;
	struct census before;
	struct error err;

	if (!f->has_kvm)
		skip();
	before = take_census();
	open_resources(f);
	for (int boot = 0; boot < 3; boot++) {
		if (vm_create(&f->vm, vm_stages, &f->resources, &err))
			fail_msg("%s", err.text);
		stop_request(&f->vm.stop, STOP_REBOOT, 0, "reset");
		vm_destroy(&f->vm);
	}
	resources_close(&f->resources);
	assert_nothing_left(f, before, "three boots");
}

/* Descriptors run out at every point where one is opened. */
static void running_out_of_descriptors_leaves_nothing(void **state)
{
	struct fixture *f = *state;
	struct census before;
	struct rlimit limit, few;
	bool started = false;
	struct error err;

	if (!f->has_kvm)
		skip();
	before = take_census();
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	for (unsigned more = 0; !started && more < 200; more++) {
		/* the vsock device raises the soft limit up to the hard one */
		few = limit;
		few.rlim_cur = before.fds - 2 + more;
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
		if (resources_open(&f->resources, &f->config, &f->layout,
				   &f->timeline, &err) == 0) {
			assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
			if (vm_create(&f->vm, vm_stages, &f->resources, &err) ==
			    0) {
				started = true;
				vm_destroy(&f->vm);
			}
			resources_close(&f->resources);
		}
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
		assert_nothing_left(f, before, "no more descriptors");
	}
	assert_true(started);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(each_opening_is_undone),
		TEST(each_stage_is_undone),
		TEST(a_whole_vm_is_undone),
		TEST(running_out_of_descriptors_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
