import { join } from 'node:path'
import type { Config } from '../config.js'

/** The folders of this process's drives: as listed, or numbered below the data folder. */
export function driveFolders(config: Pick<Config, 'dataDir' | 'drives'>): readonly string[] {
  if ('folders' in config.drives) return config.drives.folders
  return Array.from({ length: config.drives.count }, (_, index) =>
    join(config.dataDir, 'drives', String(index + 1)),
  )
}
