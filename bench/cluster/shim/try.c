/* Does one call a line of input and prints what it returned and errno: the test of shim.c drives it. Files are numbered
 * in the order of their opening. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(void) {
  char word[32], path[4096], other[4096], bytes[65536] = {0};
  int files[64], opened = 0, at, n;
  FILE *streams[64] = {0};
  while (scanf("%31s", word) == 1) {
    long result = -1;
    errno = 0;
    if ((!strcmp(word, "open") || !strcmp(word, "opendsync")) && scanf("%4095s", path) == 1) {
      result = files[opened] = open(path, O_RDWR | O_CREAT | (word[4] ? O_DSYNC : 0), 0644);
      if (result >= 0) result = opened++;
    } else if (!strcmp(word, "rename") && scanf("%4095s %4095s", path, other) == 2) {
      result = rename(path, other);
    } else if (scanf("%d %d", &at, &n) == 2) {
      if (!strcmp(word, "write")) result = write(files[at], bytes, n);
      if (!strcmp(word, "pwrite")) result = pwrite(files[at], bytes, n, 0);
      if (!strcmp(word, "read")) result = read(files[at], bytes, n);
      if (!strcmp(word, "pread")) result = pread(files[at], bytes, n, 0);
      if (!strcmp(word, "fsync")) result = fsync(files[at]);
      if (!strcmp(word, "fdatasync")) result = fdatasync(files[at]);
      if (!strcmp(word, "range")) result = sync_file_range(files[at], 0, n, SYNC_FILE_RANGE_WRITE);
      if (!strcmp(word, "fallocate")) result = fallocate(files[at], FALLOC_FL_KEEP_SIZE, 0, n);
      if (!strcmp(word, "close")) result = close(files[at]);
      if (!strcmp(word, "fread")) {
        if (!streams[at]) streams[at] = fdopen(files[at], "r");
        result = (long)fread_unlocked(bytes, 1, n, streams[at]);
        if (result < n && feof(streams[at])) errno = 0;
      }
    }
    printf("%ld %s\n", result, errno ? strerrorname_np(errno) : "-");
    fflush(stdout);
  }
  return 0;
}
