/** Exit statuses of the `cairn` command; a contract with scripts and supervisors. */
export const EXIT_STATUS = {
  ok: 0,
  /** Also an admin command whose server does not answer or refuses, and `cairn wait` and `cairn health` of one that is not ready. */
  configuration: 1,
  dataFolder: 2,
  portInUse: 3,
  /** Also a `cairn metadata` command that a majority of etcd has not answered. */
  etcdUnreachable: 4,
  /** `cairn fsck` has found something wrong, or what `--wait` waits for has not come. */
  notClean: 5,
  failure: 70,
} as const
