/**
 * Says beside the store of a running server that no journal follows it: then its drives hold the past, and no backup
 * may be taken from them. Of a server that has ended it says nothing, so it is never synced.
 */
import { existsSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Logger } from '../log.js'

const FILE = 'unfollowed'

/** Never throws: on a disk that takes no mark the store takes no writes either. */
export function markUnfollowed(folder: string, isFollowed: boolean, log: Logger): void {
  try {
    if (isFollowed) rmSync(join(folder, FILE), { force: true })
    else writeFileSync(join(folder, FILE), '')
  } catch (err) {
    log.error({ err }, 'whether journals follow the metadata was not noted')
  }
}

/** Of a running server. */
export function isMarkedUnfollowed(folder: string): boolean {
  return existsSync(join(folder, FILE))
}
