/** Which exit status an error ends the command with. */
import { CairnError, hasCode } from '@cairn/protocol'
import { ConfigError } from './config.js'
import { EXIT_STATUS } from './exit-statuses.js'
import { AdminError } from './http/ask-admin.js'
import { EtcdError } from './roles/etcd-error.js'
import { MetadataError } from './roles/metadata-error.js'

/** A file or folder cannot be written, or read. */
const DISK_CODES: readonly string[] = ['EIO', 'ENOSPC', 'EDQUOT', 'EROFS', 'EACCES', 'EPERM', 'ENOTDIR']

/** The status for an error that ended a command. 70 is EX_SOFTWARE of sysexits(3). */
export function exitStatusOf(error: unknown): number {
  if (error instanceof ConfigError || error instanceof AdminError) return EXIT_STATUS.configuration
  if (error instanceof MetadataError || hasCode(error, 'DataFolderInUse', 'FormatTooNew'))
    return EXIT_STATUS.dataFolder
  if (error instanceof EtcdError) return EXIT_STATUS.etcdUnreachable
  const { code = '', syscall } = systemErrorOf(error)
  if (code === 'EADDRINUSE') return EXIT_STATUS.portInUse
  if (code === 'EADDRNOTAVAIL' || syscall === 'listen') return EXIT_STATUS.configuration
  return DISK_CODES.includes(code) ? EXIT_STATUS.dataFolder : EXIT_STATUS.failure
}

/** What the command says of an error: where in the code it came from only if nobody has foreseen it. */
export function wordsOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const isForeseen = exitStatusOf(error) !== EXIT_STATUS.failure
  const isExplained = error instanceof CairnError && error.code !== 'Internal'
  return isForeseen || isExplained ? error.message : (error.stack ?? error.message)
}

/** The system error, be it the error itself or its cause. */
function systemErrorOf(error: unknown): Partial<NodeJS.ErrnoException> {
  const cause = error instanceof CairnError ? error.cause : error
  return cause instanceof Error ? cause : {}
}
