/** A sample of `npm run show -- etcd-scale`. */
import { hasEtcd } from '../../src/harness/etcd.js'
import { showEtcdScale } from '../../src/show/etcd-scale.js'
import { sample } from './sample.js'

const TIMEOUT_MS = 180_000
/** Enough that pages of the fill end where keys were found, and that fixed costs do not count. */
const OBJECTS = 20_000

describe('many objects on etcd', function () {
  this.timeout(TIMEOUT_MS)

  before(async function () {
    if (!(await hasEtcd())) this.skip()
  })

  it('cost no more than allowed, and the mirror holds and lists them all', () =>
    sample((report) => showEtcdScale(report, { objects: OBJECTS, members: [1], seconds: 1 })))
})
