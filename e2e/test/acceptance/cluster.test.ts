/**
 * Samples of `npm run show -- moving-groups`, `grow-drain`, `cluster-faults`, `cluster-links`, `linearizable` and
 * `dead-server`, on one cluster.
 */
import { type ClusterOnHosts, startClusterOnHosts } from '../../src/harness/cluster-hosts.js'
import { hasEtcd } from '../../src/harness/etcd.js'
import { canMakeHosts } from '../../src/harness/hosts.js'
import { showClusterFaults } from '../../src/show/cluster-faults.js'
import { showClusterLinks } from '../../src/show/cluster-links.js'
import { DEAD_ENV, showDeadServer } from '../../src/show/dead-server.js'
import { showGrowDrain } from '../../src/show/grow-drain.js'
import { showLinearizable } from '../../src/show/linearizable.js'
import { showMovingGroups } from '../../src/show/moving-groups.js'
import { sample } from './sample.js'

const TIMEOUT_MS = 180_000
const FAULT_MS = 2_000

describe('a cluster of processes on hosts of their own', function () {
  this.timeout(TIMEOUT_MS)
  let cluster: ClusterOnHosts

  before(async function () {
    if (!(await canMakeHosts()) || !(await hasEtcd())) this.skip()
    cluster = await startClusterOnHosts({ chunkServers: 4, spread: false, env: DEAD_ENV })
  })

  after(() => cluster?.stop())

  it('has every copy of blocks that were under way while their groups changed', () =>
    sample((report) => showMovingGroups(report, { cluster, writers: 2 })))

  it('grows and is drained under load', () =>
    sample((report) => showGrowDrain(report, { cluster, objects: 20, steps: [1] })))

  it('loses nothing when its processes are killed and stopped', () =>
    sample((report) =>
      showClusterFaults(report, {
        cluster,
        faultMs: FAULT_MS,
        victims: ['coordinator'],
        kinds: ['kill'],
      }),
    ))

  it('loses nothing when its links are cut', () =>
    sample((report) =>
      showClusterLinks(report, { cluster, faultMs: FAULT_MS, kinds: ['etcd–etcd'], directions: ['back'] }),
    ))

  it('gives linearizable answers', () =>
    sample((report) =>
      showLinearizable(report, {
        cluster,
        faultMs: FAULT_MS,
        faults: ['leader of etcd stopped', 'chunk server stopped'],
      }),
    ))

  it('makes the blocks of a dead chunk server whole elsewhere', () =>
    sample((report) => showDeadServer(report, { cluster, objects: 4 })))
})
