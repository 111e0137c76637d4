/** Exit statuses of the `cairn` command; a contract with scripts and supervisors. */
export const EXIT_STATUS = {
  ok: 0,
  /** Also of a command whose server does not answer it, refuses it, or is not ready. */
  configuration: 1,
  dataFolder: 2,
  portInUse: 3,
  /** Also a `cairn metadata` command that a majority of etcd has not answered. */
  etcdUnreachable: 4,
  /** `cairn fsck` has found something wrong, or what `--wait` waits for has not come. */
  notClean: 5,
  failure: 70,
} as const
