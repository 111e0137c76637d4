/** Exit statuses of the `cairn` command; a contract with scripts and supervisors. */
export const EXIT_STATUS = {
  ok: 0,
  configuration: 1,
  dataFolder: 2,
  portInUse: 3,
  etcdUnreachable: 4,
  /** `cairn fsck` has found something wrong. */
  notClean: 5,
  failure: 70,
} as const
