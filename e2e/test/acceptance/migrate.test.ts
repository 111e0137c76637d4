/** A sample of `npm run show -- migrate`. */
import { hasEtcd } from '../../src/harness/etcd.js'
import { hasTool } from '../../src/harness/tools.js'
import { showMigrate } from '../../src/show/migrate.js'
import { sample } from './sample.js'

const TIMEOUT_MS = 400_000

describe('a server that has outgrown one process', function () {
  this.timeout(TIMEOUT_MS)

  it('is moved to etcd, and served by roles apart with every byte as it was', async function () {
    if (!(await hasEtcd()) || !(await hasTool('aws'))) return this.skip()
    await sample((report) => showMigrate(report, { files: 6, kills: 1 }))
  })
})
