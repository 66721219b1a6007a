//! What a written deployment sets going: a recording where one fits, else the model, which also takes over from a
//! recording that was interrupted. It must not write statuses itself.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::fill::Fill;
use super::json::{list, number, text};
use super::replay::{self, Named, Played};
use super::store::Key;
use super::tape::Tape;
use super::{Play, State, model, nodes, pods, template};

/// How long after a change the controllers see it.
const REACTION: Duration = Duration::from_millis(3);

impl State {
    /// Lets the model look at a deployment soon.
    pub(super) fn poke(&mut self, deployment: &Key) {
        self.poke_in(deployment, REACTION);
    }

    /// Lets the model look at a deployment after some time.
    pub(super) fn poke_in(&mut self, deployment: &Key, wait: Duration) {
        if wait == REACTION && !self.poked.insert(deployment.clone()) {
            return;
        }
        let deployment = deployment.clone();
        self.clock.after(wait, move |state| {
            state.poked.remove(&deployment);
            if !state.playing.contains_key(&deployment) {
                model::reconcile(state, &deployment);
            }
        });
    }

    /// Lets the model look at the deployment that a pod belongs to.
    pub(super) fn poke_owner(&mut self, namespace: &str, pod: &Value) {
        let set = Key::new("ReplicaSet", namespace, text(pod, "/metadata/ownerReferences/0/name"));
        let Some(set) = self.store.get(&set) else { return };
        let name = text(set, "/metadata/ownerReferences/0/name").to_owned();
        self.poke(&Key::new("Deployment", namespace, &name));
    }

    /// The recording that the scripts name for a template, and the container that it is about.
    fn scripted(&self, template: &Value) -> Option<(String, &'static Tape)> {
        let images = template::images(template);
        let (matches, play) = self
            .scripts
            .iter()
            .rev()
            .find(|(matches, _)| images.iter().any(|(_, image)| matches(image)))?;
        let Play::Recording(name) = play else { return None };
        let tape = Tape::named(name)?;
        let of = if tape.init.is_some() { "/spec/initContainers" } else { "/spec/containers" };
        let containers = list(template, of);
        let named = containers.iter().find(|c| matches(text(c, "/image"))).or(containers.first());
        // Without an init container of its own the pod gets the recorded one, as from an admission webhook.
        let container = named.map_or_else(|| tape.container(), |c| text(c, "/name"));
        Some((container.to_owned(), tape))
    }

    /// Takes a deployment from its recording to the model, by one of its pods.
    pub(super) fn interrupt(&mut self, namespace: &str, pod: &Value) {
        let set = Key::new("ReplicaSet", namespace, text(pod, "/metadata/ownerReferences/0/name"));
        let Some(set) = self.store.get(&set) else { return };
        let name = text(set, "/metadata/ownerReferences/0/name");
        self.playing.remove(&Key::new("Deployment", namespace, name));
    }

    fn next_play(&mut self) -> u64 {
        self.plays += 1;
        self.plays
    }
}

/// Looks at a deployment that was written through the API.
pub(super) fn written(state: &mut State, before: Option<&Value>, after: &Value) {
    let Some(key) = Key::of(after) else { return };
    if before.is_some_and(|before| before["spec"] == after["spec"]) {
        return;
    }
    state.playing.remove(&key);
    let started = before.and_then(|before| fitting(state, &key, before, after));
    match started {
        Some(played) => {
            state.playing.insert(key, played.id);
            replay::begin(state, played);
        }
        None => state.poke(&key),
    }
}

/// The recording that the scripts name for the new template, if the deployment is as the recorded one was: at rest,
/// three pods, one more at a time. Anything else is played by the model, with the recorded pods' lives.
fn fitting(state: &mut State, key: &Key, before: &Value, after: &Value) -> Option<Played> {
    let template = &after["spec"]["template"];
    let (container, tape) = state.scripted(template)?;
    let only_template = {
        let mut old = before["spec"].clone();
        old["template"] = template.clone();
        old == after["spec"]
    };
    let limits = model::Limits::of(after);
    let plain = number(after, "/spec/replicas") == 3 && limits.surge == 1 && limits.missing == 0;
    let sets = model::sets(state, after);
    let known = sets.iter().any(|set| template::same(&set["spec"]["template"], template));
    let serving: Vec<&Value> =
        sets.iter().filter(|set| number(set, "/spec/replicas") > 0).collect();
    let [old] = serving.as_slice() else { return None };
    let rest = number(old, "/status/readyReplicas") == 3 && number(old, "/spec/replicas") == 3;
    if !only_template || !plain || known || !rest || limits.recreate {
        return None;
    }
    let old_pods: Vec<Value> =
        model::pods_of(state, old).into_iter().filter(pods::is_active).collect();
    let new_set = format!("{}-{}", key.name, template::hash(template));
    let mut names = Names::new(state, tape, after, &container);
    let uid = state.store.uid();
    names.sets((text(old, "/metadata/name"), text(old, "/metadata/uid")), (&new_set, &uid));
    for (recorded, here) in tape.old_pods.iter().zip(&old_pods) {
        let node = (text(here, "/spec/nodeName"), text(here, "/status/hostIP"));
        let address = text(here, "/status/podIP");
        names.pod(
            recorded,
            (text(here, "/metadata/name"), text(here, "/metadata/uid")),
            address,
            node,
        );
    }
    for recorded in &tape.new_pods {
        let name = pods::name(state, &new_set);
        let (uid, address) = (state.store.uid(), pods::address(state));
        let node = nodes::next(state, template);
        let recorded = tape.pods.get(recorded)?;
        names.pod(recorded, (&name, &uid), &address, (&node.0, &node.1));
    }
    let (old_set, id) = (text(old, "/metadata/name").to_owned(), state.next_play());
    let origin = (tape.patched, state.clock.wall());
    let (fill, pods) = names.done();
    let (deployment, before) = (key.clone(), before.clone());
    Some(Played { tape, deployment, id, fill, origin, pods, old_set, new_set, container, before })
}

/// Lets a new pod of the model live as a pod of the recording that the scripts name, or of a good one.
/// Returns nothing if no pod was ever created in that recording: then there will be none here either.
pub(super) fn live(state: &mut State, deployment: &Value, set: &Value, nth: usize) -> Option<()> {
    let template = &set["spec"]["template"];
    let app = list(template, "/spec/containers").first().map_or("", |c| text(c, "/name"));
    let (container, tape) = match state.scripted(template) {
        Some(scripted) => scripted,
        None => (app.to_owned(), Tape::named("good")?),
    };
    let recorded = tape.new_pods.get(nth % tape.new_pods.len().max(1))?;
    let state_of = tape.pods.get(recorded)?;
    let set_name = text(set, "/metadata/name").to_owned();
    let name = pods::name(state, &set_name);
    let (uid, address) = (state.store.uid(), pods::address(state));
    let node = nodes::next(state, template);
    let mut names = Names::new(state, tape, deployment, &container);
    names.sets(("", ""), (&set_name, text(set, "/metadata/uid")));
    names.pod(state_of, (&name, &uid), &address, (&node.0, &node.1));
    let (fill, pods) = names.done();
    let born = text(state_of, "/metadata/creationTimestamp").parse().unwrap_or(tape.patched);
    let played = Played {
        tape,
        deployment: Key::of(deployment)?,
        id: state.next_play(),
        fill,
        origin: (born, state.clock.wall()),
        pods,
        old_set: String::new(),
        new_set: set_name,
        container,
        before: deployment.clone(),
    };
    pods::create(state, &replay::with_init(tape, set), &name, &uid);
    replay::live(state, played, recorded);
    Some(())
}

/// What the replica set's controller says when the recording has no pods, because none could be created.
pub(super) fn refusal(state: &mut State, deployment: &Value, set: &Value) -> Option<String> {
    let (container, tape) = state.scripted(&set["spec"]["template"])?;
    let said = tape.rows.iter().find(|row| text(&row.object, "/reason") == "FailedCreate")?;
    let mut names = Names::new(state, tape, deployment, &container);
    names.sets(("", ""), (text(set, "/metadata/name"), text(set, "/metadata/uid")));
    Some(names.fill.text(text(&said.object, "/message")))
}

/// Collects what fills a recording's rows.
pub(super) struct Names {
    tape: &'static Tape,
    fill: Fill,
    pods: BTreeMap<String, Named>,
}

impl Names {
    /// What the deployment's names and its container's image fill.
    pub(super) fn new(
        state: &State,
        tape: &'static Tape,
        deployment: &Value,
        container: &str,
    ) -> Self {
        let mut fill = Fill::default();
        fill.pair(&tape.namespace, text(deployment, "/metadata/namespace"));
        fill.pair(&tape.deployment_uid, text(deployment, "/metadata/uid"));
        let template = &deployment["spec"]["template"];
        let images = template::images(template);
        let image = images.iter().find(|(name, _)| *name == container).map_or("", |(_, i)| *i);
        // The events about pulling repeat the image as it is written; the runtime's own errors repeat what it resolved.
        for said in [
            "Pulling image \"",
            "pulled image \"",
            "pull image \"",
            "Container image \"",
            "pulling image \"",
        ] {
            fill.pair(format!("{said}{}", tape.image()), format!("{said}{image}"));
        }
        fill.pair(tape.image(), template::resolved(image));
        fill.pair(manifest_path(tape.image()), manifest_path(&template::resolved(image)));
        let repository = template::repository(tape.image());
        let digest = template::image_id(image, |tag| state.resolve(tag));
        for pod in tape.pods.values() {
            for status in ["/status/containerStatuses", "/status/initContainerStatuses"] {
                for id in list(pod, status).iter().map(|status| text(status, "/imageID")) {
                    if id.starts_with(&format!("{repository}@")) {
                        fill.pair(id, &digest);
                    }
                }
            }
        }
        named_containers(&mut fill, tape, template, container);
        Self { tape, fill, pods: BTreeMap::new() }
    }

    /// Adds the replica sets, by name and uid.
    pub(super) fn sets(&mut self, old: (&str, &str), new: (&str, &str)) {
        for (set, (name, uid)) in [(&self.tape.old_set, old), (&self.tape.new_set, new)] {
            self.fill.pair(text(set, "/metadata/name"), name);
            self.fill.pair(text(set, "/metadata/uid"), uid);
        }
    }

    /// Adds a pod, with its address and its node.
    pub(super) fn pod(
        &mut self,
        recorded: &Value,
        (name, uid): (&str, &str),
        address: &str,
        (node, host): (&str, &str),
    ) {
        let old_name = text(recorded, "/metadata/name");
        self.fill.pair(old_name, name);
        self.fill.pair(text(recorded, "/metadata/uid"), uid);
        self.fill.pair(text(recorded, "/status/podIP"), address);
        let mut own = Fill::default();
        own.pair(text(recorded, "/spec/nodeName"), node);
        own.pair("node-1", node);
        own.pair(text(recorded, "/status/hostIP"), host);
        let named = Named { name: name.to_owned(), uid: uid.to_owned(), fill: own };
        self.pods.insert(old_name.to_owned(), named);
    }

    /// What fills rows about no pod, and the pods with what fills theirs.
    pub(super) fn done(mut self) -> (Fill, BTreeMap<String, Named>) {
        for pod in self.pods.values_mut() {
            let own = std::mem::replace(&mut pod.fill, self.fill.clone());
            pod.fill.extend(own);
        }
        (self.fill, self.pods)
    }
}

/// Where the registry has an image's manifest: errors of a pull quote the address.
pub(super) fn manifest_path(image: &str) -> String {
    let path = image.split_once('/').map_or("", |(_, path)| path);
    let (repository, reference) = path.split_once(['@', ':']).unwrap_or((path, "latest"));
    let reference = reference.rsplit('@').next().unwrap_or(reference);
    format!("/v2/{repository}/manifests/{reference}")
}

/// Containers are named in prose, so each way of naming one is a text of its own.
fn named_containers(fill: &mut Fill, tape: &Tape, template: &Value, container: &str) {
    let app = list(template, "/spec/containers").first().map_or("", |c| text(c, "/name"));
    let mut pairs = vec![(tape.container(), container)];
    if tape.init.is_some() {
        pairs.push(("web", app));
    }
    for (recorded, here) in pairs {
        for way in [
            "container @",
            "container: @",
            "containers{@}",
            "Containers{@}",
            "container \"@\"",
            "[@]",
        ] {
            fill.pair(way.replace('@', recorded), way.replace('@', here));
        }
    }
}
