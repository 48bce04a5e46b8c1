"""Folders of the host's in real guests, served by virtiofsd."""

import hashlib
import os
import shutil
import signal
import subprocess
import tarfile
import time

import onggi
import pytest
from onggi import Guest, for_everybody, run

pytestmark = pytest.mark.skipif(
    not onggi.has_virtiofsd(),
    reason="no virtiofsd (Debian: virtiofsd, or qemu-system-common)")


@pytest.fixture(name="busybox")
def busybox_guest(images):
    return ["run", "--kernel", images.tuned, "--initrd", images.initramfs]


@pytest.fixture(name="folder")
def shared_folder(tmp_path):
    path = tmp_path / "a folder, with comma"
    path.mkdir()
    return path


MOUNT = "mkdir /mnt; mount -t virtiofs data /mnt || exit 9; cd /mnt; "


def share(folder, tag="data", options=""):
    return "--share", str(folder).replace(",", ",,") + f":{tag}{options}"


def test_both_sides_see_what_the_other_one_writes(busybox, folder):
    data = os.urandom(3 << 20)
    (folder / "from-host").write_bytes(data)
    result = run(*busybox, *share(folder),
                 sh=MOUNT + "md5sum <from-host; cat from-host from-host >both;"
                 "mkdir d; ln -s ../both d/link; mv from-host d/moved; "
                 "chmod 640 both; echo x >>d/link")
    assert result.stdout.split()[0] == hashlib.md5(data).hexdigest(), \
        result.stderr
    assert (folder / "both").read_bytes() == data * 2 + b"x\n"
    assert (folder / "both").stat().st_mode & 0o777 == 0o640
    assert (folder / "d/moved").read_bytes() == data
    assert os.readlink(folder / "d/link") == "../both"


@pytest.mark.portable
def test_many_small_files(busybox, folder):
    """Unpacked by the guest, changed, packed again."""
    tree = folder / "tree"
    for i in range(10):
        (tree / f"d{i}").mkdir(parents=True)
        for j in range(10):
            (tree / f"d{i}/f{j}").write_text(f"{i} {j}\n" * j)
    with tarfile.open(folder / "in.tar", "w") as tar:
        tar.add(tree, "tree")
    shutil.rmtree(tree)
    result = run(*busybox, *share(folder), "--cpus", 2, sh=MOUNT + """
        tar -xf in.tar || exit 1
        find tree -type f | wc -l
        for d in tree/*; do
            sed -i s/^/x/ $d/* &
        done
        wait
        rm -r tree/d7
        tar -cf out.tar tree""", timeout=240)
    assert result.stdout.strip() == "100", result.stderr
    with tarfile.open(folder / "out.tar") as tar:
        names = [m.name for m in tar.getmembers() if m.isfile()]
        assert len(names) == 90
        for name in names:
            i, j = (int(n[1:]) for n in name.split("/")[1:])
            assert tar.extractfile(name).read().decode() == \
                f"x{i} {j}\n" * j


@pytest.mark.portable
def test_an_open_file_outlives_its_name(busybox, folder):
    result = run(*busybox, *share(folder), sh=MOUNT + """
        exec 3<>gone
        echo first >&3
        rm gone
        echo second >&3
        ls | wc -l
        cat /proc/self/fd/3""")
    assert result.stdout.split() == ["0", "first", "second"], result.stderr
    assert not list(folder.iterdir())


@pytest.mark.portable
def test_readonly_refuses_to_write(busybox, folder):
    (folder / "f").write_text("as it was\n")
    result = run(*busybox, *share(folder, options=",readonly"), sh=MOUNT + """
        cat f
        echo x 2>/dev/null >f && echo written
        touch new 2>/dev/null && echo made
        rm f 2>/dev/null && echo removed
        chmod 777 f 2>/dev/null && echo changed
        mount -o remount,rw /mnt 2>/dev/null
        echo x 2>/dev/null >f && echo written after all
        mkdir d 2>&1 | grep -o 'Read-only file system'""")
    assert result.stdout.split("\n") == \
        ["as it was", "Read-only file system", ""], result.stderr
    assert [p.name for p in folder.iterdir()] == ["f"]
    assert (folder / "f").read_text() == "as it was\n"


@pytest.mark.skipif(not shutil.which("gcc") or os.geteuid() != 0,
                    reason="no gcc, or not root")
def test_the_hosts_compiler_works_on_a_shared_folder(busybox, folder):
    """Two shares at once: all of the host's files, read-only, and a folder to
    work in."""
    (folder / "hello.c").write_text(
        '#include <stdio.h>\nint main(void) { puts(HELLO); return 7; }\n')
    (folder / "Makefile").write_text(
        "hello: hello.o\n\tgcc -o $@ $^\n"
        "%.o: %.c\n\tgcc -O1 -DHELLO='\"hello, host\"' -c -o $@ $<\n")
    script = """
        mkdir /host
        mount -t virtiofs host /host || exit 9
        mount -t tmpfs tmp /host/tmp && mkdir /host/tmp/work
        mount -t virtiofs work /host/tmp/work || exit 9
        chroot /host /bin/sh -c '
            PATH=/usr/bin:/bin TMPDIR=/tmp; export TMPDIR
            cd /tmp/work && make -s && ./hello; echo $?
            echo x 2>/dev/null >/usr/onggi-test; echo $?'"""
    result = run(*busybox, *share("/", "host", ",readonly"),
                 *share(folder, "work"), sh=script, timeout=400)
    assert result.stdout.split("\n")[:2] == ["hello, host", "7"], \
        result.stdout + result.stderr
    assert result.stdout.split()[-1] != "0"
    result = subprocess.run(folder / "hello", capture_output=True, check=False)
    assert (result.returncode, result.stdout) == (7, b"hello, host\n")


@pytest.mark.portable
def test_a_reboot_mounts_it_again(busybox, folder):
    result = run(*busybox, *share(folder), sh=MOUNT + """
        exec 3>>log
        echo boot >&3
        [ "$(grep -c . log)" = 3 ] || reboot -f
        cat log""")
    lines = [line for line in result.stdout.split("\n")
             if not line.startswith("[")]
    assert lines == ["boot"] * 3 + [""], result.stderr


def virtiofsds(vm):
    """Processes below a VM, as long as they run."""
    found, new = [], {vm.process.pid}
    while new:
        table = subprocess.run(["ps", "-eo", "pid,ppid,stat"], text=True,
                               capture_output=True, check=True).stdout
        rows = [line.split() for line in table.splitlines()[1:]]
        new = {int(pid) for pid, parent, stat in rows
               if int(parent) in new and stat[0] != "Z"}
        found += new
    return found


def test_the_loss_of_virtiofsd_is_told_and_a_reboot_heals_it(busybox, folder):
    (folder / "f").write_text("content\n")
    script = MOUNT + """
        cat f
        [ ! -e second ] || exit 0
        exec 3<f
        read -r _
        cat <&3 2>&1 | grep -o 'not connected'
        cat f 2>&1 | grep -o 'not connected'
        ls /mnt 2>&1 | grep -o 'not connected'
        echo still here
        read -r _
        reboot -f"""
    with Guest(*busybox, *share(folder), sh=script, terminal=True) as vm:
        vm.wait_for("content")
        for pid in virtiofsds(vm):
            os.kill(pid, signal.SIGKILL)
        vm.send("\n")
        vm.wait_for("still here")
        assert "not connected" in vm.text
        assert b"share data: the back-end closed the connection" in \
            vm.process.stderr.readline()
        (folder / "second").touch()
        vm.text = ""
        vm.send("\n")
        vm.wait_for("content")
        assert vm.finish() == 0


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
@pytest.mark.portable
def test_nothing_is_left_when_it_ends(busybox, folder, tmp_path, number):
    env = {**os.environ, "TMPDIR": str(tmp_path)}
    with Guest(*busybox, *share(folder), *share("/etc", "etc", ",readonly"),
               sh=MOUNT + "echo up; sleep 1000", env=env) as vm:
        vm.wait_for("up")
        daemons = virtiofsds(vm)
        assert len(daemons) >= 2
        assert [p.name for p in tmp_path.iterdir()] == [folder.name]
        vm.signal(number)
        vm.process.wait(30)
        end = time.monotonic() + 30
        while any(os.path.exists(f"/proc/{pid}") for pid in daemons):
            assert time.monotonic() < end
            time.sleep(0.05)
    assert [p.name for p in tmp_path.iterdir()] == [folder.name]


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
@pytest.mark.parametrize("options", ["", ",readonly"])
@pytest.mark.portable
def test_a_user_can_share_what_is_his(images, folder, options):
    """By user namespaces, which this host may not allow."""
    user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    if subprocess.run([*user, "unshare", "-r", "true"], check=False,
                      stderr=subprocess.DEVNULL).returncode:
        pytest.skip("no user namespaces")
    os.chown(folder, 65534, 65534)
    folder.chmod(0o700)
    files = [os.open(file, os.O_RDONLY)
             for file in (onggi.ONGGI, images.tuned, images.initramfs)]
    program, kernel, initrd = (f"/proc/self/fd/{fd}" for fd in files)
    line = onggi.command(
        ["run", "--kernel", kernel, "--initrd", initrd,
         *share(folder, options=options)],
        MOUNT + "echo guest >f; cat f")
    # that user may not enter all the folders above
    above = [p for p in folder.parents if not p.stat().st_mode & 1]
    try:
        with for_everybody("/dev/kvm"), for_everybody(*above, mode=0o755):
            result = subprocess.run(
                [*user, program, *line[1:]], pass_fds=files, text=True,
                stdin=subprocess.DEVNULL, capture_output=True, check=False,
                timeout=120)
    finally:
        for fd in files:
            os.close(fd)
    if options:
        assert "Read-only file system" in result.stdout, result.stderr
        assert not list(folder.iterdir())
    else:
        assert result.stdout.strip() == "guest", result.stderr
        assert (folder / "f").stat().st_uid == 65534
